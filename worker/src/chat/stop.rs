//! Stop strings over a stream of text: the longest tail that could still become a stop string is held back, so no part of
//! one ever reaches the consumer.

/// What may leave after a piece of text came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    Text(String),
    /// The text before the stop string, which ends the answer.
    Stopped(String),
}

#[derive(Debug)]
pub(crate) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

impl StopFilter {
    /// Empty stop strings would end every answer at once; the caller has refused them.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    pub fn push(&mut self, piece: &str) -> Passed {
        if self.stops.is_empty() {
            return Passed::Text(piece.to_owned());
        }
        self.held.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(at);
            return Passed::Stopped(std::mem::take(&mut self.held));
        }
        let undecided = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|&at| self.stops.iter().any(|stop| stop.starts_with(&self.held[at..])));
        let tail = undecided.map_or_else(String::new, |at| self.held.split_off(at));
        Passed::Text(std::mem::replace(&mut self.held, tail))
    }

    /// The held text, when the answer ended without a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn run(text: &str, stops: &[&str], cut: usize) -> (String, bool) {
        let mut filter = StopFilter::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let letters: Vec<char> = text.chars().collect();
        let mut out = String::new();
        for piece in letters.chunks(cut) {
            match filter.push(&piece.iter().collect::<String>()) {
                Passed::Text(text) => out.push_str(&text),
                Passed::Stopped(text) => return (out + &text, true),
            }
        }
        (out + &filter.finish(), false)
    }

    #[test]
    fn a_stop_string_cut_into_pieces_never_leaks() {
        for cut in 1..12 {
            assert_eq!(run("one STOP two", &["STOP"], cut), ("one ".into(), true));
            assert_eq!(run("one STO two", &["STOP"], cut), ("one STO two".into(), false));
            assert_eq!(run("aaab", &["aab"], cut), ("a".into(), true));
            assert_eq!(run("ends in ST", &["STOP"], cut), ("ends in ST".into(), false));
        }
    }

    #[test]
    fn the_earliest_of_several_stops_wins() {
        assert_eq!(run("x END y STOP", &["STOP", "END"], 100), ("x ".into(), true));
    }

    proptest! {
        #[test]
        fn any_cut_gives_what_the_whole_text_gives(text in "[abé]{0,40}", stop in "[abé]{1,4}", cut in 1usize..7) {
            let expected = text.find(&stop).map_or_else(|| (text.clone(), false), |at| (text[..at].to_owned(), true));
            prop_assert_eq!(run(&text, &[&stop], cut), expected);
        }
    }
}
