// Which keys do what.

import { t } from "../texts";
import { Dialog } from "./dialog";

export const KeyList = ({ onClose }: { onClose: () => void }) => (
    <Dialog title={t.keys} onClose={onClose} class="small">
        <dl class="keys">
            {t.keyList.map(([key, meaning]) => (
                <div key={key}>
                    <dt><kbd>{key}</kbd></dt>
                    <dd>{meaning}</dd>
                </div>
            ))}
        </dl>
    </Dialog>
);
