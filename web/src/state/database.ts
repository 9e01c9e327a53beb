// IndexedDB, as promises. Each message is a record of its own, so that an answer that comes writes no more than itself.

const VERSION = 1;

export type StoreName = "conversations" | "messages" | "presets";

function promised<T>(request: IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}

export class Database {
    private constructor(private readonly db: IDBDatabase) {}

    /** Fails where the browser does not let the page store anything. */
    static async open(name = "sai"): Promise<Database> {
        const request = indexedDB.open(name, VERSION);
        request.onupgradeneeded = () => {
            const db = request.result;
            db.createObjectStore("conversations", { keyPath: "id" });
            db.createObjectStore("messages", { keyPath: "id" }).createIndex("conversation", "conversation");
            db.createObjectStore("presets", { keyPath: "name" });
        };
        const db = await promised(request);
        // A newer page in another tab must not wait for this one.
        db.onversionchange = () => db.close();
        return new Database(db);
    }

    all<T>(store: StoreName): Promise<T[]> {
        return promised(this.db.transaction(store).objectStore(store).getAll() as IDBRequest<T[]>);
    }

    messagesOf<T>(conversation: string): Promise<T[]> {
        const index = this.db.transaction("messages").objectStore("messages").index("conversation");
        return promised(index.getAll(conversation) as IDBRequest<T[]>);
    }

    /** Ids of the conversations that have a message of which `has` is true. */
    async conversationsWith(has: (content: string) => boolean): Promise<Set<string>> {
        const found = new Set<string>();
        const request = this.db.transaction("messages").objectStore("messages").openCursor();
        await new Promise<void>((resolve, reject) => {
            request.onerror = () => reject(request.error);
            request.onsuccess = () => {
                const cursor = request.result;
                if (!cursor) return resolve();
                const { conversation, content } = cursor.value as { conversation: string; content: string };
                if (!found.has(conversation) && has(content)) found.add(conversation);
                cursor.continue();
            };
        });
        return found;
    }

    /** Writes the records of any stores, all or none. */
    put(records: Partial<Record<StoreName, object[]>>): Promise<void> {
        return this.change(records, (store, record) => store.put(record));
    }

    async remove(conversation: string): Promise<void> {
        const messages = await this.messagesOf<{ id: string }>(conversation);
        const keys = { conversations: [{ id: conversation }], messages };
        return this.change(keys, (store, record) => store.delete((record as { id: string }).id));
    }

    removePreset(name: string): Promise<void> {
        return this.change({ presets: [{ name }] }, (store) => store.delete(name));
    }

    private change(records: Partial<Record<StoreName, object[]>>, act: (store: IDBObjectStore, record: object) => void): Promise<void> {
        const names = Object.keys(records) as StoreName[];
        const transaction = this.db.transaction(names, "readwrite");
        for (const name of names) {
            const store = transaction.objectStore(name);
            for (const record of records[name] ?? []) act(store, record);
        }
        return new Promise((resolve, reject) => {
            transaction.oncomplete = () => resolve();
            transaction.onabort = transaction.onerror = () => reject(transaction.error);
        });
    }
}
