//! Which prompt is chosen, and why.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use promptopt::{
    Condition, Context, Criticality, Error, Network, Offload, Policy, Prompt, PromptSet, Retrieval,
    Retriever, Rule, Template, Tier, Version,
};

pub(crate) fn prompt(tier: Tier, version: u32, template: &str) -> Prompt {
    Prompt::new(
        tier,
        Version::new(version),
        Template::parse(template).unwrap(),
    )
}

pub(crate) fn set() -> PromptSet {
    let prompts = [
        prompt(Tier::Ultra, 1, "{text}:"),
        prompt(Tier::Fast, 1, "Text: {text}\nLabel:"),
        prompt(Tier::Quality, 1, "Read with care. Text: {text}\nLabel:"),
    ];
    PromptSet::new(prompts, Policy::default()).unwrap()
}

fn chosen(context: Context) -> (Tier, String) {
    let choice = set().select(&context);
    assert_eq!(choice.prompt.tier(), choice.tier);
    (choice.tier, choice.reason.rule().to_owned())
}

#[test]
fn each_default_rule_wins_in_the_stated_order() {
    let all_at_once = Context {
        battery: 0.19,
        latency_budget: Duration::from_millis(99),
        criticality: Criticality::High,
        confidence: Some(0.99),
        network: Network::Offline,
        load: 0.5,
    };
    assert_eq!(chosen(all_at_once), (Tier::Ultra, "battery-low".to_owned()));
    let charged = Context {
        battery: 0.2,
        ..all_at_once
    };
    assert_eq!(chosen(charged), (Tier::Fast, "latency-tight".to_owned()));
    let unhurried = Context {
        latency_budget: Duration::from_millis(100),
        ..charged
    };
    assert_eq!(
        chosen(unhurried),
        (Tier::Quality, "criticality-high".to_owned())
    );
    let harmless = Context {
        criticality: Criticality::Normal,
        ..unhurried
    };
    assert_eq!(
        chosen(harmless),
        (Tier::Ultra, "confidence-high".to_owned())
    );
    for sure_enough in [0.95, 0.8] {
        let context = Context {
            confidence: Some(sure_enough),
            ..harmless
        };
        assert_eq!(chosen(context), (Tier::Fast, "otherwise".to_owned()));
    }
    let unsure = Context {
        confidence: Some(0.79),
        ..harmless
    };
    assert_eq!(chosen(unsure), (Tier::Quality, "confidence-low".to_owned()));
    let unknown = Context {
        confidence: None,
        ..harmless
    };
    assert_eq!(chosen(unknown), (Tier::Fast, "otherwise".to_owned()));
}

#[test]
fn what_is_not_known_holds_for_no_rule() {
    let context = Context {
        battery: f64::NAN,
        confidence: Some(f64::NAN),
        ..Context::default()
    };
    assert_eq!(chosen(context), (Tier::Fast, "otherwise".to_owned()));
}

/// Finds lines that share a word with the query.
struct Lines(Vec<&'static str>);

impl Retriever for Lines {
    fn retrieve(
        &self,
        query: &str,
        count: usize,
    ) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
        if query.is_empty() {
            return Err("the query is empty".into());
        }
        let found = self
            .0
            .iter()
            .filter(|line| query.split(' ').any(|word| line.contains(word)));
        Ok(found.take(count).map(|line| (*line).to_owned()).collect())
    }
}

#[test]
fn passages_are_put_where_the_template_wants_them() {
    let prompts = Tier::ALL.map(|tier| prompt(tier, 1, "{passages}\nQuestion: {question}"));
    let choice = PromptSet::new(prompts, Policy::default())
        .unwrap()
        .select(&Context::default());
    let index = Lines(vec!["pumps leak when hot", "cows sleep", "a pump hums"]);
    let retrieval = Retrieval {
        query: "question",
        into: "passages",
        count: 2,
    };
    let text = choice
        .render_retrieved(&[("question", "why does a pump leak")], retrieval, &index)
        .unwrap();
    assert_eq!(
        text,
        "pumps leak when hot\na pump hums\nQuestion: why does a pump leak"
    );
    let error = choice
        .render_retrieved(&[("question", "")], retrieval, &index)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot find passages: the query is empty"
    );
    let many = Retrieval {
        count: 1000,
        ..retrieval
    };
    assert!(matches!(
        choice.render_retrieved(&[], many, &index),
        Err(Error::Limit { .. })
    ));
    let error = choice.render_retrieved(&[], retrieval, &index).unwrap_err();
    assert!(matches!(error, Error::MissingInput { .. }));
}

#[test]
fn offload_needs_the_network() {
    let online = Context {
        network: Network::Online,
        ..Context::default()
    };
    assert_eq!(set().select(&online).offload, Offload::Allowed);
    assert_eq!(set().select(&Context::default()).offload, Offload::Denied);
}

#[test]
fn a_policy_is_data_and_comes_back_the_same() {
    let text = Policy::default().to_json().unwrap();
    let read = Policy::from_json(&text).unwrap();
    assert_eq!(read.to_json().unwrap(), text);
    assert!(read.rules().eq(Policy::default().rules()));

    let busy = Rule {
        name: "busy".to_owned(),
        when: Condition {
            load_above: Some(0.9),
            ..Condition::default()
        },
        tier: Tier::Ultra,
    };
    let policy = Policy::new(vec![busy], Tier::Quality, None).unwrap();
    let (tier, reason) = policy.tier(&Context {
        load: 0.95,
        ..Context::default()
    });
    assert_eq!(
        (tier, reason.to_string().as_str()),
        (Tier::Ultra, "busy: load > 0.9")
    );
    assert_eq!(policy.tier(&Context::default()).0, Tier::Quality);
}

#[test]
fn a_context_is_read_from_json_and_typos_are_refused() {
    let text = r#"{"battery":0.15,"latency_budget_ms":80,"criticality":"high","confidence":0.97,
        "network":"online","load":0.4}"#;
    let expected = Context {
        battery: 0.15,
        latency_budget: Duration::from_millis(80),
        criticality: Criticality::High,
        confidence: Some(0.97),
        network: Network::Online,
        load: 0.4,
    };
    assert_eq!(Context::from_json(text).unwrap(), expected);
    assert_eq!(Context::from_json("{}").unwrap(), Context::default());
    assert!(Context::from_json(&text.replace("load", "laod")).is_err());
}

#[test]
fn a_share_outside_its_range_is_refused_by_name() {
    let text =
        r#"{"rules":[{"name":"x","when":{"battery_below":20},"use":"ultra"}],"otherwise":"fast"}"#;
    let error = Policy::from_json(text).unwrap_err();
    assert!(matches!(
        error,
        Error::OutOfRange {
            what: "battery_below",
            ..
        }
    ));
    let typo = text.replace("battery_below", "batery_below");
    assert!(matches!(Policy::from_json(&typo), Err(Error::Json { .. })));
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts the allocations of the current thread.
struct Counting;

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn selecting_allocates_nothing() {
    let set = set();
    let contexts = [0.1, 0.5].map(|battery| Context {
        battery,
        ..Context::default()
    });
    let before = ALLOCATIONS.with(Cell::get);
    let mut cheap = 0;
    for index in 0..1000 {
        let choice = set.select(&contexts[index % 2]);
        cheap += usize::from(choice.tier == Tier::Ultra);
    }
    assert_eq!(ALLOCATIONS.with(Cell::get), before);
    assert_eq!(cheap, 500);
    drop(Box::new(1));
    assert_eq!(
        ALLOCATIONS.with(Cell::get),
        before + 1,
        "the counter counts"
    );
}
