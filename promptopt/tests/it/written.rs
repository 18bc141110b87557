//! Answers that the model writes, and thoughts before an answer: searched, measured, exported, asked again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use promptopt::model::{GenerateOptions, LanguageModel, ask};
use promptopt::optimize::{
    Dataset, Example, Metric, Observer, Optimizer, Progress, Report, Signature,
};
use promptopt::{Error, Form, Prompt, PromptSet, Result, Template, Tier, Version, Written};

/// Reads gauges right where the prompt ends with `Result:`, and talks too much elsewhere.
#[derive(Default)]
struct Gauge {
    calls: Cell<usize>,
    objects: bool,
}

/// What stands between the last `shows ` and the next space.
fn shown(prompt: &str) -> &str {
    let rest = prompt.rfind("shows ").map_or("", |at| &prompt[at + 6..]);
    rest.split(' ').next().unwrap_or("")
}

impl LanguageModel for Gauge {
    fn name(&self) -> &str {
        "gauge"
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(text.split_whitespace().count())
    }

    fn score(&self, _: &str, options: &[&str]) -> Result<Vec<f64>> {
        Ok(vec![-1.0; options.len()])
    }

    fn generate(&self, prompt: &str, options: &GenerateOptions) -> Result<String> {
        self.calls.set(self.calls.get() + 1);
        assert!(options.tokens_max > 0 && options.temperature == 0.0);
        let value = shown(prompt);
        Ok(match (prompt.ends_with("Result:"), self.objects) {
            (true, false) => format!(" about {value} bar"),
            (true, true) => format!(" {{\"bar\": {value}, \"unit\": \"bar\"}} as asked"),
            (false, false) => " I see 7 gauges".to_owned(),
            (false, true) => format!("{{\"bar\": {value}, \"unit\": \"psi\"}}"),
        })
    }

    fn chat(&self, _: &str, user: &str) -> String {
        format!("[{user}]")
    }
}

#[derive(Default)]
struct Silent;

impl Observer for Silent {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn progress(&mut self, progress: &Progress) {
        assert!(progress.calls <= progress.calls_max);
    }
}

fn data(answer: impl Fn(usize) -> String) -> Dataset {
    let examples = (0..240).map(|at| Example {
        inputs: vec![format!("gauge {at} shows {}.5 bar now", 20 + at)],
        answer: answer(at),
    });
    Dataset::new(examples.collect())
}

fn run(model: &Gauge, kind: &str, metric: Option<Metric>, data: &Dataset) -> Report {
    let signature = Signature::parse(&format!("note: text -> pressure: {kind}"), "").unwrap();
    let optimizer = Optimizer::new(&signature, model)
        .candidates(40)
        .calls(1500)
        .seed(3);
    let optimizer = match metric {
        Some(metric) => optimizer.metric(metric),
        None => optimizer,
    };
    optimizer.run(data, &mut Silent).unwrap()
}

#[test]
fn numbers_that_the_model_writes_are_found_counted_and_asked_again_the_same() {
    let model = Gauge::default();
    let data = data(|at| format!("{}.5", 20 + at));
    let report = run(&model, "float", None, &data);
    assert_eq!(report.calls, model.calls.get());
    assert_eq!(report.metric, "within tolerance");
    assert!(report.labels.is_empty() && report.naive.calibrated.is_none());
    assert!(report.naive.test.accuracy < 0.05, "{:?}", report.naive);
    assert!(report.majority.accuracy < 0.05);
    for tier in &report.tiers {
        assert_eq!(tier.test.accuracy, 1.0, "{tier:?}");
        assert!(tier.p_naive_holm < 1e-6 && tier.rule.starts_with("written"));
    }
    let dir = tempfile::tempdir().unwrap();
    report.export(dir.path()).unwrap();
    let set = PromptSet::load_dir(dir.path()).unwrap();
    for tier in Tier::ALL {
        let prompt = set.running(tier);
        assert_eq!(prompt.written().unwrap().form(), Form::Number);
        for example in data.examples().iter().take(5) {
            let answer = ask(&model, &prompt, &[("note", &example.inputs[0])]).unwrap();
            assert_eq!(answer, example.answer);
        }
    }
    assert!(report.to_html().contains("The model writes the answers"));
}

#[test]
fn objects_and_texts_are_marked_by_their_fields_and_words_or_as_the_user_says() {
    let model = Gauge {
        objects: true,
        ..Gauge::default()
    };
    let object = |at: usize| format!("{{\"bar\":{}.5,\"unit\":\"bar\"}}", 20 + at);
    let report = run(&model, "object", None, &data(object));
    assert_eq!(report.metric, "equal fields");
    let half = &report.naive.test;
    assert_eq!(half.accuracy, 0.5, "one field of two is right: {half:?}");
    assert!(half.interval.0 <= 0.5 && 0.5 <= half.interval.1);
    assert_eq!(report.tiers[0].test.accuracy, 1.0);
    assert_eq!(report.prompts[0].written().unwrap().form(), Form::Object);

    let words = |at: usize| format!("about {}.5 bar", 20 + at);
    let report = run(&Gauge::default(), "text", None, &data(words));
    assert_eq!(report.metric, "word F1");
    assert_eq!(report.tiers[0].test.accuracy, 1.0);
    let longest = Metric::User(Arc::new(|answer, _| f64::from(answer.contains("gauges"))));
    let report = run(&Gauge::default(), "text", Some(longest), &data(words));
    assert_eq!(report.metric, "user's mark");
    assert!(!report.tiers[2].template.ends_with("Result:"));
}

/// Knows a state only where it was thought of before.
#[derive(Default)]
struct Thinker {
    calls: Cell<usize>,
    lengths: RefCell<BTreeSet<usize>>,
}

impl LanguageModel for Thinker {
    fn name(&self) -> &str {
        "thinker"
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(text.split_whitespace().count())
    }

    fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>> {
        self.calls.set(self.calls.get() + 1);
        let scores = options.iter().enumerate().map(|(at, option)| {
            let thought = format!("so {}", option.trim());
            -3.0 - at as f64 / 8.0 + 2.0 * f64::from(prompt.contains(&thought))
        });
        Ok(scores.collect())
    }

    fn generate(&self, prompt: &str, options: &GenerateOptions) -> Result<String> {
        self.calls.set(self.calls.get() + 1);
        self.lengths.borrow_mut().insert(options.tokens_max);
        let asked = prompt.rfind("pump").map_or("", |at| &prompt[at..]);
        let broken = asked.contains("grinds");
        Ok(if broken {
            " so alarm\nand"
        } else {
            " so quiet"
        }
        .to_owned())
    }

    fn chat(&self, _: &str, user: &str) -> String {
        format!("[{user}]")
    }
}

#[test]
fn a_thought_is_tried_counted_shortened_and_exported() {
    let examples = (0..240).map(|at| {
        let broken = at % 2 == 0;
        Example {
            inputs: vec![format!(
                "pump {at} {}",
                if broken { "grinds" } else { "hums" }
            )],
            answer: if broken { "alarm" } else { "quiet" }.to_owned(),
        }
    });
    let data = Dataset::new(examples.collect());
    let model = Thinker::default();
    let signature = Signature::parse("note: text -> state", "").unwrap();
    let report = Optimizer::new(&signature, &model)
        .candidates(60)
        .calls(5000)
        .seed(2)
        .run(&data, &mut Silent)
        .unwrap();
    assert_eq!(report.calls, model.calls.get(), "a thought is a call too");
    assert!(report.calls <= report.calls_max);
    let quality = &report.tiers[2];
    assert_eq!(quality.test.accuracy, 1.0, "{quality:?}");
    let prompt = &report.prompts[2];
    let thought = prompt.thought().expect("the best prompt thinks");
    assert!(quality.about.contains("thought"), "{}", quality.about);
    assert!(quality.prompt_tokens > thought.tokens_max());
    let lengths = model.lengths.borrow().clone();
    assert!(
        lengths.contains(&6) || lengths.contains(&20),
        "half a thought was tried: {lengths:?}"
    );
    for example in &data.examples()[..4] {
        let answer = ask(&model, prompt, &[("note", &example.inputs[0])]).unwrap();
        assert_eq!(answer, example.answer);
    }
    let json = prompt.to_json().unwrap();
    assert_eq!(Prompt::from_json(&json, "it").unwrap(), *prompt);
    let other = json.replace("\"then\": \"\\n", "\"then\": \"\\n ");
    assert_ne!(json, other);
    let error = Prompt::from_json(&other, "it").unwrap_err();
    assert!(matches!(error, Error::HashMismatch { .. }), "{error}");
}

#[test]
fn a_prompt_that_does_not_say_how_it_is_answered_is_refused() {
    let template = Template::parse("{note}\nResult:").unwrap();
    let prompt = Prompt::new(Tier::Fast, Version::new(1), template);
    let model = Gauge::default();
    let inputs = [("note", "it shows 3 bar")];
    let error = ask(&model, &prompt, &inputs).unwrap_err();
    assert!(
        matches!(error, Error::NoReply { tier: Tier::Fast }),
        "{error}"
    );
    let written = Written::new(Form::Number, 8, Vec::new()).unwrap();
    let prompt = prompt.with_written(written);
    assert_eq!(ask(&model, &prompt, &inputs).unwrap(), "3");
    let both = prompt.to_json().unwrap().replace(
        "\"written\"",
        "\"decision\":{\"options\":[],\"labels\":[{\"name\":\"a\",\"bias\":0,\"weights\":[]},\
         {\"name\":\"b\",\"bias\":0,\"weights\":[]}]},\"written\"",
    );
    let error = Prompt::from_json(&both, "it").unwrap_err().to_string();
    assert!(error.contains("`decision` and `written`"), "{error}");
}
