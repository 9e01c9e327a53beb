//! Which sequence uses which pages of a cache: counting alone, on no device. Kwon et al. 2023.

use crate::batch::Pushed;
use crate::{Batch, Error};
use sai_kernels::PAGE;

/// A sequence in a cache: a handle that only its cache understands, given up with [`Pages::free`].
#[derive(Debug, PartialEq, Eq)]
pub struct Sequence {
    index: usize,
}

impl Sequence {
    pub(crate) fn index(&self) -> usize {
        self.index
    }
}

/// Where a sequence's tokens are.
#[derive(Default)]
struct Entry {
    pages: Vec<u32>,
    length: usize,
    live: bool,
    /// Whether its keys turned as those of a sequence above the switch.
    long: bool,
}

/// What [`Pages::extend`] made room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    /// Position of the first new token.
    pub start: usize,
    /// A page that somebody else relies on, and the one that its contents are to be copied to before they change.
    pub copy: Option<(u32, u32)>,
}

/// The pages of a cache. A page is used by sequences, kept for later by whoever remembers what it holds, or free; it
/// may be used and kept at once.
pub struct Pages {
    entries: Vec<Entry>,
    /// For each page, the sequences that use it.
    users: Vec<u32>,
    /// For each page, how many of its first positions must stay as they are though no sequence may use it.
    kept: Vec<u8>,
    free: Vec<u32>,
    /// Pages that are kept and used by no sequence.
    idle: usize,
    /// As [`Config::rope_switch`](crate::Config::rope_switch).
    rope_switch: Option<usize>,
}

impl Pages {
    /// Positions of a page.
    pub const LENGTH: usize = PAGE;

    /// So many free pages, for a model whose positions turn otherwise in sequences of more than `rope_switch` tokens.
    pub fn new(count: usize, rope_switch: Option<usize>) -> Pages {
        Pages {
            entries: Vec::new(),
            users: vec![0; count],
            kept: vec![0; count],
            free: (0..count as u32).rev().collect(),
            idle: 0,
            rope_switch,
        }
    }

    /// Pages in all.
    pub fn count(&self) -> usize {
        self.users.len()
    }

    /// Pages that nobody uses or keeps.
    pub fn free_pages(&self) -> usize {
        self.free.len()
    }

    /// Pages that are kept and that no sequence uses: room, once they are given up.
    pub fn idle_pages(&self) -> usize {
        self.idle
    }

    /// Begins an empty sequence.
    pub fn start(&mut self) -> Sequence {
        let index = match self.entries.iter().position(|entry| !entry.live) {
            Some(index) => index,
            None => {
                self.entries.push(Entry::default());
                self.entries.len() - 1
            }
        };
        let entry = &mut self.entries[index];
        (entry.live, entry.long) = (true, false);
        Sequence { index }
    }

    /// Begins a sequence whose first `length` tokens lie in `pages`, which others use or keep; `long` where their keys
    /// turned as those of a long sequence. Nothing is copied until it is continued.
    ///
    /// # Panics
    /// If these are not as many pages as the tokens take.
    pub fn start_with(&mut self, pages: &[u32], length: usize, long: bool) -> Sequence {
        assert_eq!(pages.len(), length.div_ceil(PAGE), "pages for {length} tokens");
        let sequence = self.start();
        for &page in pages {
            self.take(page);
        }
        let entry = &mut self.entries[sequence.index];
        entry.pages.extend_from_slice(pages);
        (entry.length, entry.long) = (length, long);
        sequence
    }

    /// A second sequence with the same tokens. Nothing is copied until one of the two is continued.
    pub fn fork(&mut self, sequence: &Sequence) -> Sequence {
        let long = self.is_long(sequence.index);
        let Entry { pages, length, .. } = &self.entries[sequence.index];
        let (pages, length) = (pages.clone(), *length);
        self.start_with(&pages, length, long)
    }

    /// Tokens of a sequence.
    pub fn length(&self, sequence: &Sequence) -> usize {
        self.entries[sequence.index].length
    }

    /// A sequence's pages, first to last.
    pub fn of(&self, sequence: &Sequence) -> &[u32] {
        self.of_index(sequence.index)
    }

    fn of_index(&self, index: usize) -> &[u32] {
        &self.entries[index].pages
    }

    /// Free pages that `count` more tokens of a sequence take.
    pub fn needed(&self, sequence: &Sequence, count: usize) -> usize {
        self.needed_at(sequence.index, count)
    }

    fn needed_at(&self, index: usize, count: usize) -> usize {
        let entry = &self.entries[index];
        let end = entry.length + count;
        end.div_ceil(PAGE) - entry.pages.len() + usize::from(count > 0 && self.relied_on(entry))
    }

    /// Whether the next token of a sequence has to go to a copy of its last page.
    pub fn is_relied_on(&self, sequence: &Sequence) -> bool {
        self.relied_on(&self.entries[sequence.index])
    }

    /// Whether somebody else relies on what the next token of a sequence would be written over or beside.
    fn relied_on(&self, entry: &Entry) -> bool {
        let within = entry.length % PAGE;
        within > 0
            && entry.pages.last().is_some_and(|&page| {
                self.users[page as usize] > 1 || usize::from(self.kept[page as usize]) > within
            })
    }

    /// Makes room for `count` more tokens of a sequence. A last page that another sequence shares, or whose positions
    /// from here on are kept, is replaced by a free one.
    ///
    /// # Errors
    /// There are not enough free pages; nothing has changed then.
    pub fn extend(&mut self, sequence: &Sequence, count: usize) -> Result<Extended, Error> {
        self.extend_at(sequence.index, count, 0)
    }

    /// As [`Pages::extend`], for rows of a text that is at least `text` tokens long.
    fn extend_at(&mut self, index: usize, count: usize, text: usize) -> Result<Extended, Error> {
        let before = self.entries[index].length;
        let long = self.rope_switch.is_some_and(|at| text.max(before + count) > at);
        if before > 0 && long != self.is_long(index) {
            return Err(Error::OtherTurn { at: self.rope_switch.unwrap_or(0) });
        }
        let needed = self.needed_at(index, count);
        if needed > self.free.len() {
            return Err(Error::CacheFull { capacity: self.count() * PAGE, needed: count });
        }
        let entry = &self.entries[index];
        let start = entry.length;
        let replaced = entry.pages.last().copied().filter(|_| count > 0 && self.relied_on(entry));
        let mut fresh = self.free.split_off(self.free.len() - needed).into_iter().rev();
        let mut copy = None;
        if let Some(last) = replaced
            && let Some(to) = fresh.next()
        {
            self.drop_user(last);
            self.users[to as usize] = 1;
            let pages = &mut self.entries[index].pages;
            pages.pop();
            pages.push(to);
            copy = Some((last, to));
        }
        for page in fresh {
            self.users[page as usize] = 1;
            self.entries[index].pages.push(page);
        }
        let entry = &mut self.entries[index];
        (entry.length, entry.long) = (start + count, long);
        Ok(Extended { start, copy })
    }

    /// Whether a sequence's keys turned as those of one above the switch.
    fn is_long(&self, index: usize) -> bool {
        let entry = &self.entries[index];
        entry.long || self.rope_switch.is_some_and(|at| entry.length > at)
    }

    /// Tokens of the longest sequence of `batch` once its rows are there.
    pub(crate) fn longest_with(&self, batch: &Batch) -> usize {
        // Rows of one sequence may be pushed in pieces.
        let end = |span: &Pushed| {
            let rows = batch.spans.iter().filter(|other| other.sequence == span.sequence);
            self.entries[span.sequence].length + rows.map(|other| other.rows.len()).sum::<usize>()
        };
        batch.spans.iter().map(end).max().unwrap_or(0)
    }

    /// Makes room for all rows of `batch` or, on an error, for none; `copy` is told which pages to copy before anything is
    /// written. Returns each span's first position.
    ///
    /// # Errors
    /// There are not enough free pages.
    pub fn extend_all(&mut self, batch: &Batch, copy: &mut dyn FnMut(u32, u32)) -> Result<Vec<usize>, Error> {
        let mut starts = Vec::with_capacity(batch.spans.len());
        for span in &batch.spans {
            match self.extend_at(span.sequence, span.rows.len(), span.length) {
                Ok(extended) => {
                    extended.copy.into_iter().for_each(|(from, to)| copy(from, to));
                    starts.push(extended.start);
                }
                Err(error) => {
                    for (span, &start) in batch.spans.iter().zip(&starts).rev() {
                        self.truncate_at(span.sequence, start);
                    }
                    return Err(error);
                }
            }
        }
        Ok(starts)
    }

    /// Whether the positions of each span of `batch` turn as those of a long text.
    pub fn long_spans<'p>(&'p self, batch: &'p Batch) -> impl Iterator<Item = bool> + 'p {
        batch.spans.iter().map(|span| self.is_long(span.sequence))
    }

    /// The pages of each span of `batch`, first to last.
    pub fn of_spans<'p>(&'p self, batch: &'p Batch) -> impl Iterator<Item = &'p [u32]> + 'p {
        batch.spans.iter().map(|span| self.of_index(span.sequence))
    }

    /// Forgets all tokens of a sequence but the first `length`.
    pub fn truncate(&mut self, sequence: &Sequence, length: usize) {
        self.truncate_at(sequence.index, length);
    }

    fn truncate_at(&mut self, index: usize, length: usize) {
        let long = length > 0 && self.is_long(index);
        let entry = &mut self.entries[index];
        entry.long = long;
        entry.length = entry.length.min(length);
        let left = entry.pages.split_off(entry.length.div_ceil(PAGE));
        left.into_iter().for_each(|page| self.drop_user(page));
    }

    /// Gives up a sequence and the pages that nobody else uses or keeps.
    pub fn free(&mut self, sequence: Sequence) {
        self.truncate_at(sequence.index, 0);
        self.entries[sequence.index].live = false;
    }

    /// Sequences that use a page.
    pub fn users(&self, page: u32) -> usize {
        self.users[page as usize] as usize
    }

    /// Keeps the first `positions` positions of a page as they are, whoever uses it; 0 gives it up.
    pub fn keep(&mut self, page: u32, positions: usize) {
        let at = page as usize;
        let (before, after) = (self.kept[at], positions.min(PAGE) as u8);
        self.kept[at] = after;
        if self.users[at] == 0 {
            match (before > 0, after > 0) {
                (false, true) => {
                    self.idle += 1;
                    self.free.retain(|&free| free != page);
                }
                (true, false) => {
                    self.idle -= 1;
                    self.free.push(page);
                }
                _ => {}
            }
        }
    }

    /// Puts `page`, which holds the same, in the place of a sequence's page number `number`.
    pub fn replace(&mut self, sequence: &Sequence, number: usize, page: u32) {
        self.take(page);
        let before = std::mem::replace(&mut self.entries[sequence.index].pages[number], page);
        self.drop_user(before);
    }

    fn take(&mut self, page: u32) {
        let at = page as usize;
        debug_assert!(self.users[at] > 0 || self.kept[at] > 0, "page {page} is free");
        self.idle -= usize::from(self.users[at] == 0 && self.kept[at] > 0);
        self.users[at] += 1;
    }

    fn drop_user(&mut self, page: u32) {
        let at = page as usize;
        self.users[at] -= 1;
        if self.users[at] == 0 {
            match self.kept[at] {
                0 => self.free.push(page),
                _ => self.idle += 1,
            }
        }
    }
}
