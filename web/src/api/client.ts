// Requests to the server that the page came from. The page asks nobody else.

/** The server said no: what it said, and when to come again if it says so. */
export class Refused extends Error {
    constructor(
        message: string,
        readonly status: number,
        readonly code: string | null,
        readonly retryAfter: number | null,
    ) {
        super(message);
    }
}

/** The server was not reached, or the connection broke. */
export class Gone extends Error {}

export const apiKey = {
    get: (): string => sessionStorage.getItem("api-key") ?? "",
    set: (key: string): void => sessionStorage.setItem("api-key", key),
};

/** The response, of which the headers have come and say that all is well. */
export async function request(path: string, body: object | null, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = {};
    const key = apiKey.get();
    if (key) headers["Authorization"] = `Bearer ${key}`;
    if (body) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
        response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    } catch (error) {
        if (signal.aborted) throw error;
        throw new Gone(String(error));
    }
    if (response.ok) return response;
    const text = await response.text().catch(() => "");
    let error: { message?: string; code?: unknown } = {};
    try {
        error = JSON.parse(text).error ?? {};
    } catch {
        // Whatever answered is no API: its status says enough.
    }
    // A balancer in front of a server that is away or not ready yet; the server itself says why.
    if ([502, 503, 504].includes(response.status) && !error.message) throw new Gone(`status ${response.status}`);
    const after = Number(response.headers.get("Retry-After"));
    throw new Refused(
        error.message ?? `HTTP ${response.status}`,
        response.status,
        error.code == null ? null : String(error.code),
        response.headers.has("Retry-After") && Number.isFinite(after) ? after : null,
    );
}
