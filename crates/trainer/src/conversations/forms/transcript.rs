//! A conversation in one text, as hh-rlhf has it: `\n\nHuman: …\n\nAssistant: …`.

use super::super::turn::Turn;

const MARKS: [(&str, &str); 2] = [("\n\nHuman:", "user"), ("\n\nAssistant:", "assistant")];

/// The turns of a transcript; none where a text is none.
pub(super) fn turns(text: &str) -> Option<Vec<Turn>> {
    if !text.starts_with(MARKS[0].0) {
        return None;
    }
    let next = |text: &str| {
        let found = MARKS.iter().filter_map(|(mark, role)| Some((text.find(mark)?, *mark, *role)));
        found.min_by_key(|(at, ..)| *at)
    };
    let (mut rest, mut turns) = (text, Vec::new());
    while let Some((at, mark, role)) = next(rest) {
        let said = &rest[at + mark.len()..];
        let end = next(said).map_or(said.len(), |(at, ..)| at);
        turns.push(Turn::new(role, said[..end].trim().to_owned()));
        rest = &said[end..];
    }
    Some(turns)
}
