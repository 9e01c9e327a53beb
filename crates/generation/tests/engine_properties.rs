//! An engine over a cache that knows its own contents: whatever is asked, taken back and forgotten, in a cache of whatever
//! size, each request gets what it would get alone, and no page is lost, given up twice, or shared by other tokens.

mod tiny;

use proptest::prelude::*;
use sai_decoder::{Batch, Error, Pages, Runner};
use sai_generation::{
    Draft, Engine, EngineOptions, LoadOptions, Model, Output, Request, RequestId, Sampler, Sampling,
};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock, Mutex};

static MODEL: LazyLock<Model> =
    LazyLock::new(|| tiny::open(1, &LoadOptions { threads: 1, ..LoadOptions::default() }));

/// Rows of a pass.
const ROWS: usize = 24;

/// A cache of tokens in place of keys and values: its logits are a function of all tokens that a row's pages hold.
struct Fake {
    pages: Pages,
    switch: Option<usize>,
    /// Of each position a token, and whether it was computed as one of a long text.
    held: Vec<[(u32, bool); Pages::LENGTH]>,
    logits: Vec<f32>,
    /// The tokens of each span of each pass.
    passes: Arc<Mutex<Vec<Vec<usize>>>>,
}

impl Fake {
    fn new(pages: usize, switch: Option<usize>) -> Fake {
        let held = vec![[(u32::MAX, false); Pages::LENGTH]; pages];
        Fake { pages: Pages::new(pages, switch), switch, held, logits: Vec::new(), passes: Arc::default() }
    }
}

/// What follows a text, whatever it is.
fn logits(text: &[u32]) -> Vec<f32> {
    let mut state = text.iter().fold(0xCBF2_9CE4_8422_2325u64, |sum, &token| {
        (sum ^ u64::from(token)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    (0..tiny::VOCAB)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 22) as f32
        })
        .collect()
}

impl Runner for Fake {
    fn best_rows(&self) -> usize {
        ROWS
    }

    fn vocab_size(&self) -> usize {
        tiny::VOCAB
    }

    fn rope_switch(&self) -> Option<usize> {
        self.switch
    }

    fn pages(&self) -> &Pages {
        &self.pages
    }

    fn pages_mut(&mut self) -> &mut Pages {
        &mut self.pages
    }

    fn forward(&mut self, batch: &Batch) -> Result<&[f32], Error> {
        assert!(batch.rows() <= ROWS, "{} rows in a pass", batch.rows());
        let held = &mut self.held;
        let starts = self.pages.extend_all(batch, &mut |from, to| held[to as usize] = held[from as usize])?;
        let spans: Vec<(usize, Vec<u32>)> =
            starts.into_iter().zip(self.pages.of_spans(batch).map(<[u32]>::to_vec)).collect();
        let long: Vec<bool> = self.pages.long_spans(batch).collect();
        // As on a device, all rows are written before any is read.
        for (((start, pages), tokens), &long) in spans.iter().zip(batch.spans()).zip(&long) {
            for (i, &token) in tokens.iter().enumerate() {
                let at = start + i;
                self.held[pages[at / Pages::LENGTH] as usize][at % Pages::LENGTH] = (token, long);
            }
        }
        self.logits.clear();
        let mut row = 0;
        for (((start, pages), tokens), &long) in spans.iter().zip(batch.spans()).zip(&long) {
            for i in 0..tokens.len() {
                if batch.wanted().binary_search(&row).is_ok() {
                    let text: Vec<u32> = (0..=start + i)
                        .map(|at| self.held[pages[at / Pages::LENGTH] as usize][at % Pages::LENGTH])
                        .map(|(token, computed_long)| {
                            assert_eq!(computed_long, long, "keys of a text of another length");
                            token
                        })
                        .collect();
                    self.logits.extend(logits(&text));
                }
                row += 1;
            }
        }
        self.passes.lock().unwrap().push(batch.spans().map(<[u32]>::len).collect());
        Ok(&self.logits)
    }

    fn hidden_states(&mut self) -> &[f32] {
        &[]
    }

    fn hidden_size(&self) -> usize {
        1
    }

    fn page_bytes(&self) -> usize {
        4 * Pages::LENGTH
    }

    fn read_page(&self, _: u32, _: &mut Vec<u8>) {}

    fn write_page(&mut self, _: u32, _: &[u8]) {}
}

/// The answer that a request gets alone.
fn alone(prompt: &[u32], request: &Request, context: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(&request.sampling).unwrap();
    let mut text = prompt.to_vec();
    while text.len() - prompt.len() < request.max_new_tokens && text.len() <= context {
        let token = sampler.pick(&logits(&text), &text, 0).token;
        if MODEL.is_end(token) {
            break;
        }
        text.push(token);
    }
    text.split_off(prompt.len())
}

fn scores_alone(text: &[u32], first: usize) -> Vec<f32> {
    (first.max(1)..text.len())
        .map(|at| {
            let logits = logits(&text[..at]);
            let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = logits.iter().map(|&l| f64::from((l - highest).exp())).sum();
            logits[text[at] as usize] - (highest + sum.ln() as f32)
        })
        .collect()
}

#[derive(Clone, Debug)]
enum Op {
    Generate { prompt: Vec<u32>, max_new: usize, temperature: bool, seed: u64, draft: bool },
    Score { tokens: Vec<u32>, first: usize },
    Step(usize),
    Cancel(usize),
    Forget,
}

/// Texts of few tokens that often begin alike.
fn text() -> impl Strategy<Value = Vec<u32>> {
    (0usize..4, 0usize..70, prop::collection::vec(0u32..3, 1..50)).prop_map(|(kind, common, rest)| {
        let beginning = (0..common as u32).map(|i| (i * i + kind as u32) % 5);
        beginning.chain(rest).collect()
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => (text(), 0usize..40, any::<bool>(), 0u64..4, any::<bool>()).prop_map(
            |(prompt, max_new, temperature, seed, draft)| Op::Generate { prompt, max_new, temperature, seed, draft }
        ),
        3 => (text(), 0usize..130).prop_map(|(tokens, first)| Op::Score { tokens, first }),
        6 => (1usize..12).prop_map(Op::Step),
        2 => (0usize..40).prop_map(Op::Cancel),
        1 => Just(Op::Forget),
    ];
    prop::collection::vec(op, 1..40)
}

/// What a request must come to.
enum Expected {
    Tokens(Vec<u32>),
    Scores(Vec<f32>),
}

fn check(expected: &Expected, output: &Output, whole: bool) {
    match (expected, output) {
        (Expected::Tokens(tokens), Output::Completion(got)) if whole => assert_eq!(&got.tokens, tokens),
        (Expected::Tokens(tokens), Output::Completion(got)) => assert!(tokens.starts_with(&got.tokens)),
        (Expected::Scores(scores), Output::Scores(got)) if whole => assert_eq!(&got.logprobs, scores),
        (Expected::Scores(scores), Output::Scores(got)) => assert!(scores.starts_with(&got.logprobs)),
        _ => panic!("an output of another kind"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_request_gets_what_it_gets_alone(
        ops in ops(), pages in 4usize..14, sequences in 1usize..8, share in any::<bool>(), beside in 1usize..12,
        switch in prop::option::of(1usize..120),
    ) {
        let options = EngineOptions {
            cache_tokens: 0,
            max_sequences: sequences,
            prompt_rows_beside_decoding: beside,
            share_prefixes: share,
        };
        let mut engine = Engine::over(&MODEL, Box::new(Fake::new(pages, switch)), options);
        let context = engine.context();
        let mut open: HashMap<RequestId, Expected> = HashMap::new();
        let mut order: Vec<RequestId> = Vec::new();
        let step = |engine: &mut Engine<'_>, open: &mut HashMap<RequestId, Expected>| {
            for (id, output) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
                check(&open.remove(&id).expect("a request that is open"), &output, true);
            }
            let stats = engine.stats();
            assert!(stats.used_pages <= stats.pages && stats.running <= sequences);
        };
        for op in ops {
            match op {
                Op::Generate { prompt, max_new, temperature, seed, draft } => {
                    let request = Request {
                        sampling: Sampling {
                            temperature: if temperature { 1.0 } else { 0.0 },
                            seed,
                            ..Sampling::default()
                        },
                        max_new_tokens: max_new,
                        draft: if draft { Draft::Lookup } else { Draft::Off },
                        ..Request::default()
                    };
                    match engine.generate(prompt.clone(), &request) {
                        Ok(id) => {
                            open.insert(id, Expected::Tokens(alone(&prompt, &request, context)));
                            order.push(id);
                        }
                        Err(_) => prop_assert!(prompt.len() >= context),
                    }
                }
                Op::Score { tokens, first } => match engine.score(tokens.clone(), first) {
                    Ok(id) => {
                        open.insert(id, Expected::Scores(scores_alone(&tokens, first)));
                        order.push(id);
                    }
                    Err(_) => prop_assert!(tokens.len() > context),
                },
                Op::Step(times) => (0..times).for_each(|_| step(&mut engine, &mut open)),
                Op::Cancel(which) => {
                    if let Some(&id) = order.get(which % order.len().max(1))
                        && let Some(output) = engine.cancel(id)
                    {
                        check(&open.remove(&id).expect("a request that is open"), &output, false);
                    }
                }
                Op::Forget => engine.forget(),
            }
        }
        let mut passes = 0;
        while !engine.is_idle() {
            step(&mut engine, &mut open);
            passes += 1;
            prop_assert!(passes < 20_000, "{:?}", engine.stats());
        }
        prop_assert!(open.is_empty());
        let stats = engine.stats();
        prop_assert_eq!((stats.used_pages, stats.running, stats.waiting), (0, 0, 0));
        prop_assert!(share || stats.kept_pages == 0);
        engine.forget();
        let stats = engine.stats();
        prop_assert_eq!((stats.kept_pages, stats.used_pages), (0, 0));
    }
}

fn greedy(max_new_tokens: usize) -> Request {
    // No bias can make a model end here sooner than it would.
    Request { sampling: Sampling::greedy(), max_new_tokens, ..Request::default() }
}

#[test]
fn a_long_prompt_holds_up_nobody_and_is_not_held_up() {
    let fake = Fake::new(32, None);
    let passes = Arc::clone(&fake.passes);
    let options = EngineOptions { prompt_rows_beside_decoding: 4, ..EngineOptions::default() };
    let mut engine = Engine::over(&MODEL, Box::new(fake), options);
    let nothing = &mut |_: RequestId, _: sai_generation::Event<'_>| ControlFlow::Continue(());
    for start in 0..3u32 {
        engine.generate((0..6).map(|i| (i + 7 * start) % 61).collect(), &greedy(60)).unwrap();
    }
    engine.step(nothing).unwrap();
    let prompt: Vec<u32> = (0..200).map(|i| i % 61).collect();
    let long = engine.generate(prompt.clone(), &greedy(3)).unwrap();
    passes.lock().unwrap().clear();
    let mut first = None;
    for pass in 0.. {
        let running = engine.stats().running;
        let finished = engine.step(nothing).unwrap();
        let spans = passes.lock().unwrap().last().cloned().unwrap_or_default();
        if first.is_none() {
            // A row for each that decodes, and a piece of the prompt, in every pass.
            assert!(
                spans.iter().filter(|&&rows| rows == 1).count() >= running.saturating_sub(1),
                "{spans:?}"
            );
            assert!(spans.iter().sum::<usize>() <= running.max(3) + 4 || running == 1, "{spans:?}");
        }
        if finished.iter().any(|(id, _)| *id == long) {
            first = Some(pass);
        }
        if engine.is_idle() {
            break;
        }
    }
    // 200 rows in pieces of 4 and the answer, beside the others or after them.
    assert!(first.is_some_and(|passes| passes <= 54), "{first:?}");
}

#[test]
fn what_cannot_fit_is_refused_with_the_figures() {
    let mut engine = Engine::over(&MODEL, Box::new(Fake::new(4, None)), EngineOptions::default());
    assert_eq!(engine.context(), 128);
    let error = engine.generate(vec![1; 128], &greedy(1)).unwrap_err().to_string();
    assert!(error.contains("128 tokens") && error.contains("127"), "{error}");
    let error = engine.score(vec![1; 130], 1).unwrap_err().to_string();
    assert!(error.contains("130") && error.contains("128"), "{error}");
    let error = engine.generate(vec![1, 64], &greedy(1)).unwrap_err().to_string();
    assert!(error.contains("64"), "{error}");
    assert!(engine.generate(Vec::new(), &greedy(1)).is_err() && engine.is_idle());
}

#[test]
fn endings_of_one_prompt_cost_the_prompt_once() {
    let mut engine = Engine::over(&MODEL, Box::new(Fake::new(64, None)), EngineOptions::default());
    let prompt: Vec<u32> = (0..150).map(|i| i * i % 61).collect();
    let texts: Vec<Vec<u32>> =
        (0..16u32).map(|ending| prompt.iter().copied().chain((0..3).map(|i| ending + i)).collect()).collect();
    let mut expected = HashMap::new();
    for text in &texts {
        let id = engine.score(text.clone(), prompt.len()).unwrap();
        expected.insert(id, scores_alone(text, prompt.len()));
    }
    let mut cached = 0;
    while !engine.is_idle() {
        for (id, output) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
            let Output::Scores(scores) = output else { panic!("no scores") };
            assert_eq!(scores.logprobs, expected[&id]);
            cached += scores.usage.cached_tokens;
        }
    }
    // All but the first begin with the prompt, whose last token is computed for its logits.
    assert_eq!(cached, 15 * (prompt.len() - 1));
    assert_eq!(engine.stats().rows as usize, prompt.len() + 2 + 15 * 3);
}

#[test]
fn a_beginning_that_is_in_use_is_never_given_up() {
    let mut engine = Engine::over(&MODEL, Box::new(Fake::new(6, None)), EngineOptions::default());
    let nothing = &mut |_: RequestId, _: sai_generation::Event<'_>| ControlFlow::Continue(());
    let prompt: Vec<u32> = (0..70).map(|i| i % 61).collect();
    let want = alone(&prompt, &greedy(40), engine.context());
    let id = engine.generate(prompt, &greedy(40)).unwrap();
    // Others come and go meanwhile and fill what is left of the cache.
    let mut others = 0;
    loop {
        if engine.stats().waiting < 2 {
            others += 1;
            engine.score((0..60).map(|i| (i * others) % 61).collect(), 1).unwrap();
        }
        for (done, output) in engine.step(nothing).unwrap() {
            if done == id {
                let Output::Completion(completion) = output else { panic!("no completion") };
                assert_eq!(completion.tokens, want);
                assert!(others > 5);
                return;
            }
        }
    }
}
