//! From topics to conversations, and from stories to documents.

use super::pattern::{Pattern, Word};
use super::{Conversation, Exchange, GeneratedDocument, Place, Rules, Topic, Turn};
use crate::random::Random;

/// Streams of random numbers, so that a conversation and a document of the same number have nothing to do with another.
const CONVERSATIONS: u64 = 1;
const DOCUMENTS: u64 = 2;

/// How often something happens in a conversation.
mod chance {
    /// It is about one thing only.
    pub(super) const SINGLE: f64 = 0.35;
    /// It begins with a greeting, or ends with a farewell.
    pub(super) const GREETED: f64 = 0.5;
    /// There is another topic.
    pub(super) const ANOTHER: f64 = 0.6;
    /// Somebody asks for another language.
    pub(super) const SWITCH: f64 = 0.06;
    /// Somebody asks on.
    pub(super) const FOLLOW: f64 = 0.5;
    pub(super) const MORE: f64 = 0.35;
    /// A person leaves a last stop or question mark away, or writes no capitals.
    pub(super) const BARE: f64 = 0.35;
    pub(super) const SMALL: f64 = 0.25;
    /// A person writes Korean without spaces.
    pub(super) const SPACELESS: f64 = 0.12;
    /// A greeting stands before a question, in one breath.
    pub(super) const HAIL: f64 = 0.1;
}

/// Topics of a conversation, at most.
const MOST_TOPICS: usize = 5;

impl Rules {
    /// Conversation number `index` of a seed; `None` where there are no topics.
    pub fn conversation(&self, seed: u64, index: u64) -> Option<Conversation> {
        let mut random = Random::new(seed, CONVERSATIONS, index);
        let lang = random.pick(&self.languages)?;
        let mut talk = Talk { rules: self, random, lang, met: Vec::new(), messages: Vec::new() };
        if talk.random.chance(chance::SINGLE) {
            talk.topic(|_| true)?;
        } else {
            talk.several();
        }
        Some(Conversation { messages: talk.messages, lang: lang.clone() })
            .filter(|conversation| !conversation.messages.is_empty())
    }

    /// The conversations of a seed, without end; none where there are no topics.
    pub fn conversations(&self, seed: u64) -> impl Iterator<Item = Conversation> + '_ {
        (0..).map_while(move |index| self.conversation(seed, index))
    }

    /// Document number `index` of a seed; `None` where no rule makes one.
    pub fn document(&self, seed: u64, index: u64) -> Option<GeneratedDocument> {
        let mut random = Random::new(seed, DOCUMENTS, index);
        let mut languages: Vec<&String> = self.stories.iter().map(|story| &story.lang).collect();
        languages.sort();
        languages.dedup();
        let lang = *random.pick(&languages)?;
        let of = self.stories.iter().filter(|story| story.lang == *lang);
        let story = weighted(of.map(|story| (story, story.weight)), &mut random)?;
        let (least, most) = story.repeat;
        let times = least + random.below(most - least + 1);
        let mut text = String::new();
        for _ in 0..times {
            let words = self.draw(&story.variables, &mut random);
            for part in &story.parts {
                let Some(way) = random.pick(part) else { continue };
                let said = filled(way, &words, &mut random);
                if !text.is_empty() && !text.ends_with([' ', '\n']) && !said.starts_with('\n') {
                    text.push(' ');
                }
                text.push_str(&said);
            }
        }
        Some(GeneratedDocument { text: text.trim().to_owned(), lang: lang.clone() })
    }

    /// The documents of a seed, without end; none where no rule makes one.
    pub fn documents(&self, seed: u64) -> impl Iterator<Item = GeneratedDocument> + '_ {
        (0..).map_while(move |index| self.document(seed, index))
    }
}

/// A sentence, filled in. Choices that were left out leave no second space, and none at its ends.
fn filled(way: &Pattern, words: &[&Word], random: &mut Random) -> String {
    let mut raw = String::new();
    way.write(words, random, &mut raw);
    let mut said = String::with_capacity(raw.len());
    for c in raw.chars() {
        if c != ' ' || !(said.is_empty() || said.ends_with([' ', '\n'])) {
            said.push(c);
        }
    }
    said.truncate(said.trim_end_matches(' ').len());
    said
}

/// The turns as lines of a text, as a book would print them.
pub(crate) fn dialogue(messages: &[Turn]) -> String {
    let lines: Vec<String> =
        messages.iter().map(|turn| format!("{}: {}", turn.role, turn.content.trim())).collect();
    lines.join("\n")
}

/// A conversation that is being composed.
struct Talk<'r> {
    rules: &'r Rules,
    random: Random,
    lang: &'r String,
    /// Topics that were talked about.
    met: Vec<usize>,
    messages: Vec<Turn>,
}

impl<'r> Talk<'r> {
    fn several(&mut self) {
        if self.random.chance(chance::GREETED) {
            self.topic(|place| place == Place::Open);
        }
        for number in 0..MOST_TOPICS {
            if number > 0 && !self.random.chance(chance::ANOTHER) {
                break;
            }
            if self.random.chance(chance::SWITCH)
                && let Some(topic) = self.topic(|place| place == Place::Switch)
                && let Some(to) = &topic.to
            {
                self.lang = to;
            }
            self.topic(|place| place == Place::Talk);
        }
        if self.random.chance(chance::GREETED) {
            self.topic(|place| place == Place::Close);
        }
    }

    /// Talks about a topic that was not met and stands at such a place; `None` where there is none.
    fn topic(&mut self, place: impl Fn(Place) -> bool) -> Option<&'r Topic> {
        let topics = self.rules.topics.iter().enumerate();
        let fits = |(at, topic): &(usize, &Topic)| {
            topic.lang == *self.lang && place(topic.place) && !self.met.contains(at)
        };
        let fitting = topics.filter(fits).map(|(at, topic)| ((at, topic), topic.weight));
        let (at, topic) = weighted(fitting, &mut self.random)?;
        self.met.push(at);
        let words = self.rules.draw(&topic.variables, &mut self.random);
        let hail = self.hail(topic);
        self.say(&hail, &topic.first, &words);
        for exchange in &topic.follow {
            if self.random.chance(chance::FOLLOW) {
                self.say("", exchange, &words);
            }
        }
        while !topic.more.is_empty() && self.random.chance(chance::MORE) && self.another(topic) {}
        Some(topic)
    }

    /// A greeting to put before the first question of a conversation; mostly none.
    fn hail(&mut self, topic: &Topic) -> String {
        let first = self.messages.is_empty() && topic.place == Place::Talk;
        if !first || !self.random.chance(chance::HAIL) {
            return String::new();
        }
        let fits = |hail: &&Topic| hail.hail && hail.lang == topic.lang;
        let hails: Vec<&Topic> = self.rules.topics.iter().filter(fits).collect();
        let Some(hail) = self.random.pick(&hails) else { return String::new() };
        let words = self.rules.draw(&hail.variables, &mut self.random);
        let way = self.random.pick(&hail.first.ask);
        way.map_or_else(String::new, |way| filled(way, &words, &mut self.random) + " ")
    }

    fn say(&mut self, before: &str, exchange: &Exchange, words: &[&Word]) {
        let mut said = [String::new(), String::new()];
        for (ways, said) in [&exchange.ask, &exchange.answer].into_iter().zip(&mut said) {
            if let Some(way) = self.random.pick(ways) {
                *said = filled(way, words, &mut self.random);
            }
        }
        let [ask, answer] = said;
        self.push(format!("{before}{ask}"), answer);
    }

    /// Asks for another answer; whether there was one that was not given yet.
    fn another(&mut self, topic: &Topic) -> bool {
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            let words = self.rules.draw(&topic.variables, &mut self.random);
            let Some(way) = self.random.pick(&topic.more) else { return false };
            let ask = filled(way, &words, &mut self.random);
            let Some(way) = self.random.pick(&topic.first.answer) else { return false };
            let answer = filled(way, &words, &mut self.random);
            if self.messages.iter().all(|turn| turn.content != answer) {
                self.push(ask, answer);
                return true;
            }
        }
        false
    }

    fn push(&mut self, mut ask: String, answer: String) {
        if self.random.chance(chance::BARE) && ask.ends_with(['.', '?', '!']) && ask.chars().count() > 1 {
            ask.pop();
            ask.truncate(ask.trim_end().len());
        }
        if self.random.chance(chance::SMALL) {
            ask = ask.to_lowercase();
        }
        if ask.contains(|c| ('가'..='힣').contains(&c)) && self.random.chance(chance::SPACELESS) {
            ask.retain(|c| c != ' ');
        }
        for (role, content) in [("user", ask), ("assistant", answer)] {
            self.messages.push(Turn { role: role.to_owned(), content });
        }
    }
}

/// One of them, likelier where its weight is larger.
fn weighted<T>(of: impl Iterator<Item = (T, f64)>, random: &mut Random) -> Option<T> {
    const STEPS: f64 = 1024.0;
    let of: Vec<(T, usize)> = of.map(|(one, weight)| (one, (weight * STEPS).max(1.0) as usize)).collect();
    let mut at = random.below(of.iter().map(|(_, weight)| weight).sum());
    for (one, weight) in of {
        match at.checked_sub(weight) {
            Some(rest) => at = rest,
            None => return Some(one),
        }
    }
    None
}
