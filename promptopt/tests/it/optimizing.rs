//! A whole run with a scripted model: what it may know, what it counts, what it exports.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use promptopt::model::{GenerateOptions, LanguageModel, ask};
use promptopt::optimize::{
    Dataset, Example, Metric, ModelProposer, Observer, Optimizer, Progress, Report, Signature,
    Split, Style,
};
use promptopt::{Context, Error, PromptSet, Result, Tier};

/// Knows "fine" from "broken" in the text, better behind some cues, and prefers the first label by far.
#[derive(Default)]
struct Scripted {
    calls: Cell<usize>,
    prompts: RefCell<BTreeSet<String>>,
}

fn noise(text: &str, salt: u64) -> f64 {
    let mut hash = salt ^ 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    ((hash ^ (hash >> 29)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

impl LanguageModel for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(text.split_whitespace().count())
    }

    fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>> {
        self.calls.set(self.calls.get() + 1);
        self.prompts.borrow_mut().insert(prompt.to_owned());
        // The last example of the prompt is the one that is asked for.
        let asked = prompt.rfind("pump").map_or("", |at| &prompt[at..]);
        let clear = if prompt.ends_with("Verdict:") {
            4.0
        } else {
            1.0
        };
        let broken = if asked.contains("broken") { 1.0 } else { -1.0 };
        Ok(options
            .iter()
            .map(|option| {
                let word = option.trim().to_lowercase();
                let side = match word.as_str() {
                    "alarm" => clear * broken,
                    "quiet" => 6.0 - clear * broken,
                    _ => 0.0,
                };
                side + 3.0 * noise(&format!("{prompt}{option}"), 1) - 12.0
            })
            .collect())
    }

    /// Has no thoughts.
    fn generate(&self, _: &str, _: &GenerateOptions) -> Result<String> {
        self.calls.set(self.calls.get() + 1);
        Ok(String::new())
    }

    fn chat(&self, system: &str, user: &str) -> String {
        format!("[{system}] {user}\nASSISTANT: ")
    }
}

#[derive(Default)]
struct Watch {
    told: usize,
    stages: BTreeSet<&'static str>,
}

impl Observer for Watch {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn progress(&mut self, progress: &Progress) {
        assert!(progress.calls <= progress.calls_max);
        self.told += 1;
        self.stages.insert(progress.stage);
    }
}

fn data() -> Dataset {
    let examples = (0..240).map(|at| {
        let state = if at % 2 == 0 { "broken" } else { "fine" };
        Example {
            inputs: vec![format!("pump {at} sounds {state} today")],
            answer: if at % 2 == 0 { "alarm" } else { "quiet" }.to_owned(),
        }
    });
    Dataset::new(examples.collect())
}

fn signature() -> Signature {
    Signature::parse("note: text -> state", "").unwrap()
}

fn optimizer<'a>(signature: &'a Signature, model: &'a Scripted) -> Optimizer<'a> {
    Optimizer::new(signature, model)
        .candidates(40)
        .calls(2000)
        .seed(5)
}

fn run(model: &Scripted) -> Report {
    let signature = signature();
    optimizer(&signature, model)
        .run(&data(), &mut Watch::default())
        .unwrap()
}

/// One run that several tests look at, and the prompts that the model saw in it.
fn shared() -> &'static (Report, BTreeSet<String>) {
    static SHARED: OnceLock<(Report, BTreeSet<String>)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let model = Scripted::default();
        let report = run(&model);
        (report, model.prompts.into_inner())
    })
}

#[test]
fn a_biased_model_is_made_right_and_every_call_is_counted() {
    let model = Scripted::default();
    let signature = signature();
    let mut watch = Watch::default();
    let report = optimizer(&signature, &model)
        .run(&data(), &mut watch)
        .unwrap();
    assert_eq!(
        report.calls,
        model.calls.get(),
        "what is reported is what was asked"
    );
    assert!(report.calls <= report.calls_max);
    assert!(report.candidates >= 40, "40 drawn, and variants");
    assert_eq!(report.test_opened, 1);
    assert!(
        watch.told > 40 && watch.stages.contains("testing"),
        "{:?}",
        watch.stages
    );
    assert!(report.naive.test.accuracy < 0.75, "{:?}", report.naive.test);
    for (tier, cap) in report.tiers.iter().zip([10, 30, 100]) {
        assert!(tier.prompt_tokens <= cap, "{tier:?}");
        assert!(tier.test.accuracy > 0.95, "{tier:?}");
        assert!(
            tier.test.interval.0 < tier.test.accuracy && tier.test.accuracy <= tier.test.interval.1
        );
        assert!(
            tier.p_naive_holm < 1e-6 && tier.p_random_holm < 1e-3,
            "{tier:?}"
        );
        assert!(tier.p_naive <= tier.p_naive_holm);
        // A third of the calls is kept for the rules and the choice.
        let fitted = tier.rule.split_whitespace().rev().nth(1).unwrap();
        assert!(fitted.parse::<usize>().unwrap() >= 60, "{}", tier.rule);
    }
    assert!(report.finalists.iter().any(|finalist| finalist.on_front));
}

#[test]
fn the_same_seed_gives_the_same_prompts_and_another_seed_another_split() {
    let first = &shared().0;
    let second = run(&Scripted::default());
    assert_eq!(first.prompts, second.prompts);
    assert_eq!(first.tiers, second.tiers);
    let split = |seed| {
        data()
            .split(Split::stratified(0.3, 0.3, 0.4, seed).unwrap())
            .unwrap()
    };
    assert_ne!(split(1).validation, split(2).validation);
}

#[test]
fn what_is_exported_renders_to_the_bytes_that_were_scored_and_answers_the_same() {
    let model = Scripted::default();
    let (report, seen) = shared();
    let dir = tempfile::tempdir().unwrap();
    report.export(dir.path()).unwrap();
    let set = PromptSet::load_dir(dir.path()).unwrap();
    let mut splits = data()
        .split(Split::stratified(0.3, 0.3, 0.4, 5).unwrap())
        .unwrap();
    let used = report.naive.test.examples;
    for tier in Tier::ALL {
        let prompt = set.running(tier);
        assert_eq!(*prompt, report.prompts[tier as usize]);
        let mut right = 0;
        model.prompts.borrow_mut().clear();
        for example in &splits.test.open()[..used] {
            let inputs = [("note", example.inputs[0].as_str())];
            right += usize::from(ask(&model, &prompt, &inputs).unwrap() == example.answer);
        }
        let accuracy = right as f64 / used as f64;
        for text in model.prompts.borrow().iter() {
            assert!(seen.contains(text), "{text:?} was never scored");
        }
        assert_eq!(accuracy, report.tiers[tier as usize].test.accuracy);
    }
    let choice = set.select(&Context::default());
    assert_eq!(choice.prompt.tier(), Tier::Fast);
}

#[test]
fn the_page_shows_every_tier_and_prompt_and_no_raw_markup() {
    let mut report = shared().0.clone();
    report.labels[0] = "<script>".to_owned();
    let page = report.to_html();
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
    for tier in &report.tiers {
        assert!(page.contains(&format!("<h3>{}</h3>", tier.tier)));
    }
    assert_eq!(page.matches("<circle").count(), report.finalists.len());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for tag in ["table", "tr", "td", "pre", "p", "h2"] {
        let open = page.matches(&format!("<{tag}>")).count();
        assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn no_prompt_shows_a_validation_or_test_example() {
    let report = &shared().0;
    let mut splits = data()
        .split(Split::stratified(0.3, 0.3, 0.4, 5).unwrap())
        .unwrap();
    for prompt in &report.prompts {
        let text = prompt.template().source();
        for example in splits.validation.iter().chain(splits.test.clone().open()) {
            assert!(
                !text.contains(&example.inputs[0]),
                "{text:?} shows {example:?}"
            );
        }
    }
    assert_eq!(splits.test.opened(), 0);
    splits.test.open();
    assert_eq!(splits.test.opened(), 1);
}

#[test]
fn a_stopped_run_goes_on_from_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores.jsonl");
    let signature = signature();
    let whole = &shared().0;
    let first = Scripted::default();
    optimizer(&signature, &first)
        .checkpoint(&path)
        .run(&data(), &mut Watch::default())
        .unwrap();
    // As a crash leaves it: half of the lines, the last one cut.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    let second = Scripted::default();
    let resumed = optimizer(&signature, &second)
        .checkpoint(&path)
        .run(&data(), &mut Watch::default())
        .unwrap();
    assert_eq!(resumed.prompts, whole.prompts);
    assert_eq!(resumed.calls, whole.calls, "restored calls count");
    assert!(resumed.calls_restored > 400);
    assert_eq!(resumed.calls, second.calls.get() + resumed.calls_restored);

    let other = Dataset::new(data().examples()[..150].to_vec());
    let refused = optimizer(&signature, &second)
        .checkpoint(&path)
        .run(&other, &mut Watch::default());
    assert!(matches!(refused, Err(Error::Data { .. })));
}

/// Writes the same good instruction every time and keeps what it was asked.
struct Writer(RefCell<Vec<String>>);

impl LanguageModel for Writer {
    fn name(&self) -> &str {
        "writer"
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(text.len())
    }

    fn score(&self, _: &str, options: &[&str]) -> Result<Vec<f64>> {
        Ok(vec![-1.0; options.len()])
    }

    fn generate(&self, prompt: &str, _: &GenerateOptions) -> Result<String> {
        self.0.borrow_mut().push(prompt.to_owned());
        Ok(" Listen for grinding noise. \n\nMore".to_owned())
    }

    fn chat(&self, _: &str, user: &str) -> String {
        user.to_owned()
    }
}

#[test]
fn proposers_see_training_examples_and_their_instructions_are_tried() {
    let model = Scripted::default();
    let signature = signature();
    let writer = Writer(RefCell::new(Vec::new()));
    let grounded = ModelProposer::new(&writer, Style::Grounded);
    let reflective = ModelProposer::new(&writer, Style::Reflective);
    let report = optimizer(&signature, &model)
        .calls(3000)
        .proposer(&grounded)
        .proposer(&reflective)
        .run(&data(), &mut Watch::default())
        .unwrap();
    let asked = writer.0.into_inner();
    assert!(asked.len() >= 2, "{}", asked.len());
    assert!(
        asked
            .iter()
            .any(|question| question.contains("It got these wrong"))
    );
    let mut splits = data()
        .split(Split::stratified(0.3, 0.3, 0.4, 5).unwrap())
        .unwrap();
    for example in splits.validation.iter().chain(splits.test.open()) {
        assert!(
            !asked
                .iter()
                .any(|question| question.contains(&example.inputs[0]))
        );
    }
    assert!(
        asked
            .iter()
            .any(|question| question.contains(&splits.train[0].inputs[0]))
    );
    let tried = model.prompts.borrow();
    assert!(
        tried
            .iter()
            .any(|prompt| prompt.contains("Listen for grinding noise."))
    );
    assert_eq!(
        report.calls,
        model.calls.get() + asked.len(),
        "proposals are calls too"
    );
}

#[test]
fn shorter_forms_of_good_prompts_are_tried() {
    let model = Scripted::default();
    let signature = signature();
    optimizer(&signature, &model)
        .calls(4000)
        .run(&data(), &mut Watch::default())
        .unwrap();
    let seen = model.prompts.borrow();
    let whole = "Classify the note as one of: alarm, quiet.\nNote:";
    let shorter = "Classify the note as one of: alarm, \nNote:";
    let tried = |start: &str| seen.iter().any(|prompt| prompt.starts_with(start));
    assert!(tried(whole));
    assert!(
        tried(shorter) || tried("Classify the note as one of: quiet") || tried("alarm, quiet."),
        "no phrase of the naive prompt was left out"
    );
}

#[test]
fn what_makes_no_task_is_refused_in_words() {
    let model = Scripted::default();
    let signature = signature();
    let refuse = |optimizer: Optimizer<'_>, data: &Dataset| {
        optimizer.run(data, &mut Watch::default()).unwrap_err()
    };
    let error = refuse(optimizer(&signature, &model).calls(100), &data());
    assert!(
        matches!(error, Error::Budget { calls: 100, needed } if needed > 100),
        "{error}"
    );
    let one = Dataset::new(data().examples().iter().step_by(2).cloned().collect());
    assert!(
        refuse(optimizer(&signature, &model), &one)
            .to_string()
            .contains("different answers")
    );
    let rare = Example {
        inputs: vec!["pump".to_owned()],
        answer: "rare".to_owned(),
    };
    let few = Dataset::new(data().examples().iter().cloned().chain([rare]).collect());
    assert!(matches!(
        refuse(optimizer(&signature, &model), &few),
        Error::TooFewExamples { .. }
    ));
    let (kept, rare) = few.without_rare(3);
    assert_eq!(rare, [("rare".to_owned(), 1)]);
    assert_eq!(kept.answers(), data().answers());
    let caps = optimizer(&signature, &model).caps([30, 10, 100]);
    assert!(matches!(refuse(caps, &data()), Error::OutOfRange { .. }));
    assert_eq!(model.calls.get(), 0, "refused before the model was asked");
}

#[test]
fn calls_for_fewer_prompts_than_asked_for_try_fewer_and_say_so() {
    let model = Scripted::default();
    let signature = signature();
    let report = optimizer(&signature, &model)
        .calls(1000)
        .candidates(400)
        .run(&data(), &mut Watch::default())
        .unwrap();
    assert!(report.candidates >= 100 && report.candidates < 400);
    assert_eq!(report.candidates_wanted, 400);
    assert!(report.calls <= 1000, "{}", report.calls);
}

#[test]
fn demonstrations_that_the_model_answers_right_are_tried() {
    let model = Scripted::default();
    let signature = signature();
    optimizer(&signature, &model)
        .calls(5000)
        .run(&data(), &mut Watch::default())
        .unwrap();
    let shown: BTreeSet<Vec<String>> = model
        .prompts
        .borrow()
        .iter()
        .map(|prompt| {
            let blocks = prompt.split("\n\n").filter(|block| block.contains("pump"));
            let mut blocks: Vec<String> = blocks.map(str::to_owned).collect();
            blocks.pop();
            blocks
        })
        .filter(|demos| demos.len() > 1)
        .collect();
    // Bootstrapped sets are starts of one list; drawn sets of 2 and 4 have nothing to do with one another.
    let grown = shown
        .iter()
        .any(|demos| demos.len() == 4 && shown.contains(&demos[..2]));
    assert!(
        grown,
        "no two sets of demonstrations start alike: {shown:?}"
    );
}

#[test]
fn long_texts_are_cut_to_what_the_context_holds_and_counted() {
    struct Narrow(Scripted);
    impl LanguageModel for Narrow {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn count_tokens(&self, text: &str) -> Result<usize> {
            self.0.count_tokens(text)
        }
        fn context_tokens(&self) -> Option<usize> {
            Some(400)
        }
        fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>> {
            assert!(self.count_tokens(prompt)? <= 400, "{prompt}");
            self.0.score(prompt, options)
        }
        fn generate(&self, prompt: &str, options: &GenerateOptions) -> Result<String> {
            self.0.generate(prompt, options)
        }
        fn chat(&self, system: &str, user: &str) -> String {
            self.0.chat(system, user)
        }
    }
    let long = |example: &Example| Example {
        inputs: vec![format!("{} {}", example.inputs[0], "hum ".repeat(90))],
        answer: example.answer.clone(),
    };
    let whole = data();
    let examples = whole.examples().iter().enumerate().map(|(at, example)| {
        if at % 10 == 0 {
            long(example)
        } else {
            example.clone()
        }
    });
    let model = Narrow(Scripted::default());
    let report = Optimizer::new(&signature(), &model)
        .candidates(40)
        .calls(1800)
        .run(&Dataset::new(examples.collect()), &mut Watch::default())
        .unwrap();
    assert!(report.input_chars < 200, "{}", report.input_chars);
    assert_eq!(report.inputs_cut, 24);
    assert!(
        report.prompts[0]
            .template()
            .source()
            .contains(&format!(":{}}}", report.input_chars))
    );
}

#[test]
fn files_become_examples_and_what_is_left_out_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("a.csv");
    std::fs::write(&csv, "id,note,state\n1,\"a, b\",x\n2, c ,y\n3,,x\n4,c,x\n").unwrap();
    let data = Dataset::from_csv(&csv, &["note", "state"]).unwrap();
    let texts: Vec<&str> = data
        .examples()
        .iter()
        .map(|e| e.inputs[0].as_str())
        .collect();
    assert_eq!(texts, ["a, b", "c"]);
    assert_eq!((data.skipped().empty, data.skipped().repeated), (1, 1));
    let error = Dataset::from_csv(&csv, &["text", "state"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no column `text`, only: id, note, state"),
        "{error}"
    );
    std::fs::write(&csv, "note,state\na,b,c\n").unwrap();
    assert!(matches!(
        Dataset::from_csv(&csv, &["note", "state"]),
        Err(Error::Data { .. })
    ));

    let jsonl = dir.path().join("a.jsonl");
    std::fs::write(
        &jsonl,
        "{\"note\":\"a\",\"state\":true}\n\n{\"note\":\"b\",\"state\":1.5}\n",
    )
    .unwrap();
    let data = Dataset::from_jsonl(&jsonl, &["note", "state"]).unwrap();
    let answers: Vec<&str> = data.examples().iter().map(|e| e.answer.as_str()).collect();
    assert_eq!(answers, ["true", "1.5"]);
    std::fs::write(&jsonl, "{\"note\":\"a\"}\n").unwrap();
    let error = Dataset::from_jsonl(&jsonl, &["note", "state"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 1: the field `state` is missing"),
        "{error}"
    );
}

/// Sees the text alone: no prompt is better than another.
struct Deaf(Scripted);

impl LanguageModel for Deaf {
    fn name(&self) -> &str {
        "deaf"
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        self.0.count_tokens(text)
    }

    fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>> {
        let asked = prompt.rfind("pump").map_or("", |at| &prompt[at..]);
        let text: Vec<&str> = asked.split_whitespace().take(5).collect();
        let words: Vec<&str> = options.iter().map(|option| option.trim()).collect();
        self.0.score(&text.join(" "), &words)
    }

    fn generate(&self, prompt: &str, options: &GenerateOptions) -> Result<String> {
        self.0.generate(prompt, options)
    }

    fn chat(&self, system: &str, user: &str) -> String {
        self.0.chat(system, user)
    }
}

#[test]
fn a_tier_leaves_the_naive_prompt_only_for_one_that_is_better() {
    let model = Deaf(Scripted::default());
    let signature = signature();
    for calls in [1000, 2000] {
        let report = Optimizer::new(&signature, &model)
            .candidates(40)
            .calls(calls)
            .run(&data(), &mut Watch::default())
            .unwrap();
        let fitted = report.naive.calibrated.unwrap();
        for tier in &report.tiers {
            let fits = report.naive.tokens <= tier.tokens_cap;
            assert!(
                !fits || tier.template == report.naive.template,
                "{calls} {}",
                tier.about
            );
            assert_eq!(tier.test.accuracy, fitted.accuracy, "{calls}");
        }
    }
}

#[test]
fn another_metric_is_optimised_and_reported() {
    let model = Scripted::default();
    let signature = signature();
    let report = optimizer(&signature, &model)
        .metric(Metric::MacroF1)
        .run(&data(), &mut Watch::default())
        .unwrap();
    assert_eq!(report.metric, "macro F1");
    assert!(report.tiers.iter().all(|tier| tier.test.metric > 0.95));
}

/// Each word that it is asked for tells a little of whether the pump is broken, the labels' names no more than others.
struct Hinting {
    at_once: usize,
}

impl LanguageModel for Hinting {
    fn name(&self) -> &str {
        "hinting"
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(text.split_whitespace().count())
    }

    fn options_at_once(&self) -> usize {
        self.at_once
    }

    fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>> {
        assert!(options.len() <= self.at_once.max(16), "{options:?}");
        let asked = prompt.rfind("pump").map_or("", |at| &prompt[at..]);
        let broken = if asked.contains("broken") { 1.0 } else { -1.0 };
        let score = |option: &&str| {
            let side = noise(option, 7).signum();
            0.2 * side * broken + 3.0 * noise(&format!("{asked}{option}"), 1) - 12.0
        };
        Ok(options.iter().map(score).collect())
    }

    fn generate(&self, _: &str, _: &GenerateOptions) -> Result<String> {
        Ok(String::new())
    }

    fn chat(&self, system: &str, user: &str) -> String {
        format!("[{system}] {user}\nASSISTANT: ")
    }
}

#[test]
fn a_model_that_scores_many_words_at_once_is_read_through_them() {
    let accuracy = |at_once: usize| {
        let model = Hinting { at_once };
        let report = Optimizer::new(&signature(), &model)
            .candidates(20)
            .calls(2000)
            .run(&data(), &mut Watch::default())
            .unwrap();
        let options = report.prompts[1].decision().unwrap().options().len();
        (report.tiers[1].test.accuracy, options)
    };
    let (narrow, few) = accuracy(0);
    let (wide, many) = accuracy(96);
    assert!(few <= 16 && many > 80 && many <= 96, "{few} {many}");
    assert!(wide > narrow + 0.1, "{narrow} {wide}");
}
