// The page of `sai serve`: a conversation with the models of the server that it came from.

import { render } from "preact";
import { app } from "./state/app";
import { t } from "./texts";
import { Page } from "./ui/page";
import { copyCode } from "./ui/copy";
import { theme } from "./ui/theme";

document.documentElement.lang = t.lang;
document.title = t.title;
theme.apply();
copyCode(document);
render(<Page />, document.getElementById("app")!);
void app.start();
