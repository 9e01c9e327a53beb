//! All blocks of a page that are not its frame, by simple rules: for pages that are no article.

use dom_query::{Document, NodeRef};

use super::blocks;

/// The text of the page's main element, or of its body, without navigation, headers, footers, asides and what is hidden.
pub(super) fn outline(document: &Document) -> String {
    let main = ["main", "[role='main']", "#content", "#main"]
        .into_iter()
        .map(|selector| document.select(selector))
        .find(|found| found.length() == 1)
        .and_then(|found| found.nodes().first().copied());
    let body = document.body();
    let whole = body.map(|body| blocks::text_without(&body, &is_frame)).unwrap_or_default();
    match main.map(|main| blocks::text_without(&main, &is_frame)) {
        // A main element that holds little is not what it says.
        Some(main) if main.len() * 3 > whole.len() => main,
        _ => whole,
    }
}

/// Names of classes and ids that frames have.
const FRAME: &[&str] = &[
    "nav",
    "navbar",
    "navigation",
    "menu",
    "gnb",
    "lnb",
    "snb",
    "footer",
    "header",
    "sidebar",
    "side-bar",
    "aside",
    "breadcrumb",
    "breadcrumbs",
    "share",
    "sharing",
    "social",
    "sns",
    "cookie",
    "cookies",
    "banner",
    "advert",
    "ads",
    "ad",
    "sponsor",
    "related",
    "recommend",
    "recommended",
    "popup",
    "modal",
    "newsletter",
    "subscribe",
    "pagination",
    "paging",
    "pager",
    "toolbar",
    "skip",
    "skip-link",
    "login",
    "masthead",
    "topbar",
    "copyright",
    "toc",
    "tags",
    "widget",
    "promo",
];

fn is_frame(node: &NodeRef<'_>, name: &str) -> bool {
    match name {
        "nav" | "footer" | "aside" | "dialog" | "menu" => return true,
        // The header of an article holds its title.
        "header" => {
            return node
                .parent()
                .and_then(|parent| parent.node_name())
                .is_none_or(|name| &*name != "article");
        }
        "article" | "main" | "body" | "h1" | "p" | "pre" | "table" | "td" | "tr" | "li" => {
            return hidden(node);
        }
        _ => {}
    }
    if hidden(node) {
        return true;
    }
    if let Some(role) = node.attr("role")
        && matches!(
            &*role,
            "navigation"
                | "banner"
                | "contentinfo"
                | "search"
                | "complementary"
                | "dialog"
                | "alert"
                | "menu"
                | "menubar"
        )
    {
        return true;
    }
    let named = |value: &str| {
        value.split_ascii_whitespace().any(|class| {
            let class = class.to_ascii_lowercase();
            class.split(['-', '_']).count() <= 3
                && (FRAME.contains(&class.as_str())
                    || class.split(['-', '_']).any(|part| FRAME.contains(&part)))
        })
    };
    node.class().is_some_and(|class| named(&class)) || node.id_attr().is_some_and(|id| named(&id))
}

fn hidden(node: &NodeRef<'_>) -> bool {
    node.has_attr("hidden")
        || node.attr("aria-hidden").is_some_and(|value| &*value == "true")
        || node.attr("style").is_some_and(|style| {
            let style = style.replace(' ', "");
            style.contains("display:none") || style.contains("visibility:hidden")
        })
}
