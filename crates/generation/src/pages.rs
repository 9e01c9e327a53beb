//! Beginnings of texts that are computed already: pages of the cache, found by what they hold.
//!
//! A node is a page's tokens and the node before it, which stands for all tokens before; equal nodes are one. The
//! last page of a text need not be full. Each node keeps its page after the request that filled it is done, until room is
//! needed: then the least recently used node goes that none follows and no request uses.
//! Zheng et al. 2023 (radix attention); the pages are those of Kwon et al. 2023.

use sai_decoder::{Pages, Sequence};
use std::collections::HashMap;

/// Salts that are remembered before those of no use are forgotten.
const MANY_SALTS: usize = 256;

/// A node's number; the text's beginning has one too, without a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// Before the first page of a text, and of one so long that its positions turn otherwise.
const ROOTS: [NodeId; 2] = [NodeId(0), NodeId(1)];

struct Node {
    parent: NodeId,
    /// At most a page.
    tokens: Box<[u32]>,
    page: u32,
    children: Vec<NodeId>,
    /// The newest use, by [`PrefixCache::clock`].
    used: u64,
}

impl Node {
    /// Before a text, and after nothing.
    fn root(id: NodeId) -> Node {
        Node { parent: id, tokens: Box::default(), page: u32::MAX, children: Vec::new(), used: 0 }
    }

    fn is_root(&self) -> bool {
        self.page == u32::MAX
    }
}

/// Where a text without a salt begins.
pub(crate) fn plain_root(long: bool) -> NodeId {
    ROOTS[usize::from(long)]
}

/// What is known of a text's beginning.
#[derive(Debug)]
pub(crate) struct Found {
    root: NodeId,
    /// Full pages from the beginning on.
    full: Vec<NodeId>,
    /// A page whose first tokens come next, and how many.
    partial: Option<(NodeId, usize)>,
    /// Tokens of both.
    pub(crate) tokens: usize,
}

/// The nodes.
pub(crate) struct PrefixCache {
    /// The first are the roots.
    nodes: Vec<Option<Node>>,
    unused: Vec<NodeId>,
    /// Where texts begin that share with those of the same salt alone.
    salted: HashMap<(String, bool), NodeId>,
    /// Full pages by what they follow and hold.
    full: HashMap<(NodeId, Box<[u32]>), NodeId>,
    clock: u64,
}

impl PrefixCache {
    pub(crate) fn new() -> PrefixCache {
        PrefixCache {
            nodes: ROOTS.map(|id| Some(Node::root(id))).into(),
            unused: Vec::new(),
            salted: HashMap::new(),
            full: HashMap::new(),
            clock: 0,
        }
    }

    /// Where a text begins; `long` where it is longer than the model's
    /// [`Runner::rope_switch`](sai_decoder::Runner::rope_switch).
    pub(crate) fn root(&mut self, salt: Option<&str>, long: bool) -> NodeId {
        let Some(salt) = salt else { return plain_root(long) };
        if let Some(&root) = self.salted.get(&(salt.to_owned(), long)) {
            return root;
        }
        let id = self.new_id();
        self.nodes[id.0 as usize] = Some(Node::root(id));
        self.salted.insert((salt.to_owned(), long), id);
        id
    }

    /// Whether it is time to forget salts.
    pub(crate) fn has_many_salts(&self) -> bool {
        self.salted.len() > MANY_SALTS
    }

    /// Forgets salts of which nothing is kept, but those that are `running`.
    pub(crate) fn forget_salts(&mut self, running: &dyn Fn(&str) -> bool) {
        let (nodes, unused) = (&mut self.nodes, &mut self.unused);
        self.salted.retain(|(salt, _), root| {
            let kept = nodes[root.0 as usize].as_ref().is_some_and(|node| !node.children.is_empty());
            let stays = kept || running(salt);
            if !stays {
                nodes[root.0 as usize] = None;
                unused.push(*root);
            }
            stays
        });
    }

    fn new_id(&mut self) -> NodeId {
        self.unused.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            NodeId(self.nodes.len() as u32 - 1)
        })
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes[id.0 as usize].as_ref().expect("nodes are named while they live")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id.0 as usize].as_mut().expect("nodes are named while they live")
    }

    /// The longest beginning of `tokens` that is there, from `root` on.
    pub(crate) fn find(&self, root: NodeId, tokens: &[u32]) -> Found {
        let mut found = Found::nothing(root);
        let mut last = root;
        for page in tokens.chunks_exact(Pages::LENGTH) {
            // A look-up needs a key of its own; pages are few beside what they save.
            let Some(&node) = self.full.get(&(last, page.into())) else { break };
            found.full.push(node);
            last = node;
        }
        found.tokens = found.full.len() * Pages::LENGTH;
        let rest = &tokens[found.tokens..];
        let common = |id: &NodeId| common_prefix(&self.node(*id).tokens, rest);
        if let Some((id, length)) =
            self.node(last).children.iter().map(|id| (*id, common(id))).max_by_key(|(_, n)| *n)
            && length > 0
        {
            found.partial = Some((id, length));
            found.tokens += length;
        }
        found
    }

    /// Pages of what was found that no request uses: they are no room once it is begun with.
    pub(crate) fn idle_pages(&self, found: &Found, pages: &Pages) -> usize {
        found.nodes().filter(|&id| pages.users(self.node(id).page) == 0).count()
    }

    /// Begins a sequence with what was found; returns its last full node too.
    pub(crate) fn begin(&mut self, found: &Found, long: bool, pages: &mut Pages) -> (Sequence, NodeId) {
        self.clock += 1;
        for id in found.nodes() {
            self.node_mut(id).used = self.clock;
        }
        let list: Vec<u32> = found.nodes().map(|id| self.node(id).page).collect();
        (pages.start_with(&list, found.tokens, long), found.full.last().copied().unwrap_or(found.root))
    }

    /// Remembers that a sequence's page number `number` holds `tokens` after `parent`; returns its node, or `None` for an
    /// unfinished page that adds nothing to what is known. Where a full page of the same tokens is known, the sequence
    /// goes on with that one.
    pub(crate) fn add(
        &mut self,
        parent: NodeId,
        tokens: &[u32],
        sequence: &Sequence,
        number: usize,
        pages: &mut Pages,
    ) -> Option<NodeId> {
        let page = pages.of(sequence)[number];
        let is_full = tokens.len() == Pages::LENGTH;
        let own = self.node(parent).children.iter().copied().find(|id| self.node(*id).page == page);
        if is_full && let Some(&known) = self.full.get(&(parent, tokens.into())) {
            if own != Some(known) {
                // Somebody else has computed the same.
                own.into_iter().for_each(|own| self.remove(own, pages));
                pages.replace(sequence, number, self.node(known).page);
            }
            self.touch(known);
            return Some(known);
        }
        let node = match own {
            // The same page, further filled.
            Some(own) if self.node(own).tokens.len() < tokens.len() => {
                self.node_mut(own).tokens = tokens.into();
                own
            }
            Some(_) => return None,
            None => {
                let begins_so = |id: &NodeId| self.node(*id).tokens.starts_with(tokens);
                if !is_full && self.node(parent).children.iter().any(begins_so) {
                    return None;
                }
                let node = Node { parent, tokens: tokens.into(), page, children: Vec::new(), used: 0 };
                let id = self.new_id();
                self.nodes[id.0 as usize] = Some(node);
                self.node_mut(parent).children.push(id);
                id
            }
        };
        pages.keep(page, tokens.len());
        if is_full {
            self.full.insert((parent, tokens.into()), node);
        }
        self.touch(node);
        Some(node)
    }

    fn touch(&mut self, id: NodeId) {
        self.clock += 1;
        let clock = self.clock;
        self.node_mut(id).used = clock;
    }

    /// Gives up the least recently used page that no request uses; false where there is none.
    pub(crate) fn evict(&mut self, pages: &mut Pages) -> bool {
        let oldest = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(id, node)| {
                node.as_ref().filter(|node| !node.is_root()).map(|node| (NodeId(id as u32), node))
            })
            .filter(|(_, node)| node.children.is_empty() && pages.users(node.page) == 0)
            .min_by_key(|(_, node)| node.used)
            .map(|(id, _)| id);
        if let Some(id) = oldest {
            self.remove(id, pages);
        }
        oldest.is_some()
    }

    fn remove(&mut self, id: NodeId, pages: &mut Pages) {
        let Some(node) = self.nodes[id.0 as usize].take() else { return };
        debug_assert!(node.children.is_empty(), "a node that others follow");
        self.node_mut(node.parent).children.retain(|child| *child != id);
        pages.keep(node.page, 0);
        if node.tokens.len() == Pages::LENGTH {
            self.full.remove(&(node.parent, node.tokens));
        }
        self.unused.push(id);
    }

    /// Pages that are kept.
    pub(crate) fn len(&self) -> usize {
        self.nodes.iter().flatten().filter(|node| !node.is_root()).count()
    }

    /// The pages that hold the beginning of a text, as many of its tokens as are there, and how many that is.
    pub(crate) fn pages_of(&self, root: NodeId, tokens: &[u32]) -> (Vec<u32>, usize) {
        let found = self.find(root, tokens);
        (found.nodes().map(|id| self.node(id).page).collect(), found.tokens)
    }
}

impl Found {
    pub(crate) fn nothing(root: NodeId) -> Found {
        Found { root, full: Vec::new(), partial: None, tokens: 0 }
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.full.iter().copied().chain(self.partial.map(|(id, _)| id))
    }
}

/// Tokens that two texts begin with alike.
pub(crate) fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
