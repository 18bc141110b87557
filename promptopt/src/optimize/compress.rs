//! Shorter prompts: one phrase left out at a time, and the model says whether it was missed.

use std::ops::Range;

/// Phrases of a template that can be left out: sentences and clauses before the first input, whole
/// demonstrations, never marks of turns or the cue behind the last input.
pub(crate) fn phrases(template: &str) -> Vec<Range<usize>> {
    let end = first_input(template);
    let head = &template[..end];
    let mut found = Vec::new();
    let mut block_start = 0;
    for block in head.split_inclusive("\n\n") {
        let block_end = block_start + block.len();
        // The last block runs into the first input: its own heading stays.
        let usable = block.ends_with("\n\n") || block.ends_with('\n');
        let lines_end = block
            .rfind('\n')
            .map_or(block_start, |at| block_start + at + 1);
        if usable {
            found.push(block_start..block_end);
        } else if lines_end > block_start {
            found.push(block_start..lines_end);
        }
        let mut start = block_start;
        for (at, _) in block.match_indices([' ', '\n']) {
            let piece_end = block_start + at + 1;
            let piece = &template[start..piece_end];
            let closes = [". ", ", ", "? ", ": ", ".\n"]
                .iter()
                .any(|mark| piece.ends_with(mark));
            if closes && piece_end <= lines_end {
                found.push(start..piece_end);
                start = piece_end;
            }
        }
        block_start = block_end;
    }
    found.retain(|range| {
        let text = &template[range.clone()];
        !text.trim().is_empty() && !text.contains("<|")
    });
    found.sort_by_key(|range| (range.start, range.end));
    found.dedup();
    found
}

/// Byte at which the first input stands; the whole length where there is none.
fn first_input(template: &str) -> usize {
    let bytes = template.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'{', Some(b'{')) | (b'}', Some(b'}')) => at += 2,
            (b'{', _) => return at,
            _ => at += 1,
        }
    }
    template.len()
}

/// The template without one phrase.
pub(crate) fn without(template: &str, phrase: &Range<usize>) -> String {
    format!("{}{}", &template[..phrase.start], &template[phrase.end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    #[test]
    fn phrases_are_clauses_and_demonstrations_but_no_marks_and_no_cue() {
        let template =
            "Read it. Say which: a, b.\n\nText: x{{y\nLabel: a\n\nText: {text:9}\nLabel:";
        let left: Vec<&str> = phrases(template)
            .into_iter()
            .map(|range| &template[range])
            .collect();
        assert_eq!(
            left,
            [
                "Read it. ",
                "Read it. Say which: a, b.\n\n",
                "Say which: ",
                "a, ",
                "b.\n",
                "Text: ",
                "Text: x{{y\nLabel: a\n\n",
                "x{{y\nLabel: "
            ]
        );
        for range in phrases(template) {
            let shorter = without(template, &range);
            let parsed = Template::parse(&shorter).unwrap();
            assert_eq!(parsed.inputs(), ["text"], "{shorter}");
            assert!(shorter.ends_with("\nLabel:"));
        }
        assert!(phrases("{text}\nLabel:").is_empty());
        let chat = "<|im_start|>user\nIs it a or b? {text}<|im_end|>\n";
        assert!(
            phrases(chat)
                .iter()
                .all(|range| !chat[range.clone()].contains("<|"))
        );
    }
}
