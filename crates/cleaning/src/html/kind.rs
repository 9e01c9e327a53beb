//! What a page looks like: an article, or many entries.

use dom_query::Document;
use serde::Serialize;

/// The kinds of pages that are treated differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// One text, or nothing else that is known.
    Article,
    /// A thread of posts.
    Forum,
    /// A list of entries, each a few lines.
    Listing,
    /// A product of a shop.
    Product,
}

/// Looks at what the page says of itself, and at elements that come again and again.
pub(super) fn of(document: &Document) -> PageKind {
    let meta = document
        .select_single("meta[property='og:type']")
        .attr("content")
        .unwrap_or_default()
        .to_ascii_lowercase();
    if meta.contains("product") {
        return PageKind::Product;
    }
    let (mut forum, mut product, mut list, mut article) = (0, 0, 0, 0);
    for node in document.root().descendants_it().filter(|node| node.is_element()) {
        let (Some(name), class, item) = (node.node_name(), node.class(), node.attr("itemtype")) else {
            continue;
        };
        if let Some(item) = item {
            if item.ends_with("/Product") {
                product += 1;
            } else if item.ends_with("/DiscussionForumPosting")
                || item.ends_with("/QAPage")
                || item.ends_with("/Question")
            {
                forum += 3;
            }
        }
        if &*name == "article" {
            article += 1;
        }
        let Some(class) = class else { continue };
        for class in class.split_ascii_whitespace() {
            let class = class.to_ascii_lowercase();
            match class.as_str() {
                "post" | "message" | "topic-post" | "postbody" | "post-body" | "post_body"
                | "postcontent" | "post-content" | "message-body" | "forum-post" | "thread-post"
                | "bbp-reply-content" | "topic_body" | "comment-body" | "answercell" => forum += 1,
                "product" | "product-item" | "product-card" | "card" | "listing" | "listing-item"
                | "search-result" | "grid-item" => list += 1,
                "add-to-cart"
                | "addtocart"
                | "single_add_to_cart_button"
                | "product-price"
                | "product_title" => product += 1,
                _ => {}
            }
        }
    }
    if forum >= 3 {
        PageKind::Forum
    } else if product >= 1 && list < 8 {
        PageKind::Product
    } else if list >= 6 || article >= 5 {
        PageKind::Listing
    } else {
        PageKind::Article
    }
}
