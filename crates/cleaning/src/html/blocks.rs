//! A tree of elements as lines of text.

use dom_query::{NodeData, NodeRef};

/// Elements that stand on lines of their own, an empty line around them.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "center"
            | "dd"
            | "details"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "main"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "table"
            | "ul"
    )
}

/// Elements of which nothing is text.
fn is_silent(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "template"
            | "head"
            | "noscript"
            | "iframe"
            | "object"
            | "embed"
            | "svg"
            | "canvas"
            | "audio"
            | "video"
            | "select"
            | "textarea"
            | "datalist"
            | "progress"
            | "meter"
            | "button"
    )
}

/// What separates text from what comes next, the stronger the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Tab,
    Line,
    Empty,
}

/// Writes text with gaps between.
struct Writer {
    text: String,
    gap: Gap,
    pre: usize,
}

impl Writer {
    fn gap(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn open_gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str(match self.gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Tab => "\t",
                Gap::Line => "\n",
                Gap::Empty => "\n\n",
            });
        }
        self.gap = Gap::None;
    }

    fn words(&mut self, text: &str) {
        if self.pre > 0 {
            for (i, line) in text.split('\n').enumerate() {
                if i > 0 {
                    // White space at the ends of lines goes, empty lines stay.
                    let trimmed = self.text.trim_end_matches([' ', '\t']).len();
                    self.text.truncate(trimmed);
                    if self.gap == Gap::None && !self.text.is_empty() {
                        self.text.push('\n');
                    }
                }
                if !line.is_empty() {
                    self.open_gap();
                    self.text.push_str(line.trim_end_matches('\r'));
                }
            }
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.gap(Gap::Space);
        }
        for (i, word) in text.split_whitespace().enumerate() {
            if i > 0 {
                self.gap(Gap::Space);
            }
            self.open_gap();
            self.text.push_str(word);
        }
        if text.ends_with(char::is_whitespace) {
            self.gap(Gap::Space);
        }
    }
}

/// The text below `root`.
pub(super) fn text(root: &NodeRef<'_>) -> String {
    text_without(root, &|_, _| false)
}

/// The text below `root` without the elements that `drops` says. It is given an element and its name.
pub(super) fn text_without(root: &NodeRef<'_>, drops: &dyn Fn(&NodeRef<'_>, &str) -> bool) -> String {
    let mut writer = Writer { text: String::new(), gap: Gap::None, pre: 0 };
    // A loop and no recursion: the depth of a page is its author's.
    let mut node = root.first_child();
    while let Some(current) = node {
        let descend = open(&current, &mut writer, drops);
        if descend && let Some(child) = current.first_child() {
            node = Some(child);
            continue;
        }
        if descend {
            close(&current, &mut writer);
        }
        let mut at = current;
        node = loop {
            if let Some(next) = at.next_sibling() {
                break Some(next);
            }
            match at.parent() {
                Some(parent) if parent.id != root.id => {
                    close(&parent, &mut writer);
                    at = parent;
                }
                _ => break None,
            }
        };
    }
    writer.text.truncate(writer.text.trim_end().len());
    writer.text
}

/// Writes what comes before the children of `node`; whether they are to be written.
fn open(node: &NodeRef<'_>, writer: &mut Writer, drops: &dyn Fn(&NodeRef<'_>, &str) -> bool) -> bool {
    let name = node.query_or(None, |node| match &node.data {
        NodeData::Text { contents } => {
            writer.words(contents);
            None
        }
        NodeData::Element(element) => Some(element.name.local.clone()),
        _ => None,
    });
    let Some(name) = name else { return false };
    if is_silent(&name) || drops(node, &name) {
        writer.gap(Gap::Space);
        return false;
    }
    match &*name {
        "br" => writer.gap(Gap::Line),
        "li" | "tr" => writer.gap(Gap::Line),
        "td" | "th" => writer.gap(Gap::Tab),
        "pre" => {
            writer.gap(Gap::Empty);
            writer.pre += 1;
        }
        name if is_block(name) => writer.gap(gap_of(node)),
        _ => {}
    }
    true
}

fn close(node: &NodeRef<'_>, writer: &mut Writer) {
    let Some(name) = node.node_name() else { return };
    match &*name {
        "li" | "tr" => writer.gap(Gap::Line),
        "td" | "th" => writer.gap(Gap::Tab),
        "pre" => {
            writer.pre -= 1;
            writer.gap(Gap::Empty);
        }
        name if is_block(name) => writer.gap(gap_of(node)),
        _ => {}
    }
}

/// Blocks inside a cell or an item do not tear it apart.
fn gap_of(node: &NodeRef<'_>) -> Gap {
    match node.parent().and_then(|parent| parent.node_name()).as_deref() {
        Some("td" | "th") => Gap::Space,
        Some("li" | "dd" | "dt") => Gap::Line,
        _ => Gap::Empty,
    }
}

#[cfg(test)]
mod tests {
    use dom_query::Document;

    fn text(html: &str) -> String {
        super::text(&Document::fragment(html).root())
    }

    #[test]
    fn titles_lists_tables_and_code_keep_their_shape() {
        let html = "<h1>Rivers</h1><p>One <b>long</b>\n river.</p><ul><li>Han</li><li><p>Nakdong</p></li></ul>\
            <table><tr><th>Name</th><th>km</th></tr><tr><td><p>Han</p></td><td>494</td></tr></table>\
            <pre>if x:\n    y()\n\nz</pre>after<br>break<script>no()</script>";
        assert_eq!(
            text(html),
            "Rivers\n\nOne long river.\n\nHan\nNakdong\n\nName\tkm\nHan\t494\n\nif x:\n    y()\n\nz\n\nafter\nbreak"
        );
    }

    #[test]
    fn words_of_neighbouring_inline_elements_stay_together() {
        assert_eq!(text("<b>바다</b>는 <i>넓</i>다<div>물</div>"), "바다는 넓다\n\n물");
        assert_eq!(text(""), "");
    }
}
