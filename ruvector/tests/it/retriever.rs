//! Passages of documents.

use proptest::prelude::*;
use ruvector::retriever::{Chunking, DOCUMENT_ID_MAX, Retriever};
use ruvector::{BoxError, Embedder, Error, Filter, Index, Metric};
use serde_json::{Value, json};

use crate::embedder::{DIM, embedder};

const CHUNKING: Chunking = Chunking::Sentences {
    chars: 60,
    overlap: 0,
};

fn memory() -> Retriever {
    let index = Index::builder(DIM).build().unwrap();
    Retriever::new(index, embedder(), CHUNKING).unwrap()
}

const MASTITIS: &str = "Mastitis is an inflammation of the udder. Milk with clots is a sign. \
    A vet may prescribe antibiotics for the infected quarter.";
const GRAZING: &str = "Rotate the pasture every three weeks. Grass needs rest to grow again.";

#[test]
fn the_passage_that_answers_is_first_and_says_where_it_is() {
    let retriever = memory();
    assert_eq!(
        retriever
            .add(1, MASTITIS, json!({"topic": "health"}))
            .unwrap(),
        3
    );
    assert_eq!(retriever.add(2, GRAZING, Value::Null).unwrap(), 2);
    let passages = retriever
        .retrieve("which antibiotics for mastitis?", 2)
        .run()
        .unwrap();
    assert!(passages[0].score >= passages[1].score);
    assert_eq!(passages[0].document, 1);
    assert_eq!(passages[0].text, MASTITIS[passages[0].range.clone()]);
    assert_eq!(passages[0].metadata["topic"], "health");
    let none = retriever
        .retrieve("mastitis", 5)
        .min_score(0.99)
        .run()
        .unwrap();
    assert_eq!(none, []);
}

#[test]
fn a_filter_sees_the_metadata() {
    let retriever = memory();
    for (id, zone) in [(1, "north"), (2, "south")] {
        retriever
            .add(id, MASTITIS, json!({ "zone": zone }))
            .unwrap();
    }
    let filter = Filter::parse("zone == 'south'").unwrap();
    let passages = retriever
        .retrieve("mastitis", 10)
        .filter(filter)
        .run()
        .unwrap();
    assert_eq!(passages.len(), 3);
    assert!(passages.iter().all(|passage| passage.document == 2));
}

#[test]
fn marginal_relevance_passes_over_copies() {
    let retriever = memory();
    for id in 0..4 {
        retriever
            .add(
                id,
                "Mastitis of the udder is treated by a vet.",
                Value::Null,
            )
            .unwrap();
    }
    retriever
        .add(9, "Signs of udder trouble: clots in the milk.", Value::Null)
        .unwrap();
    let question = "how is mastitis of the udder treated";
    let near = retriever.retrieve(question, 2).run().unwrap();
    assert!(near.iter().all(|passage| passage.document < 4));
    let diverse = retriever
        .retrieve(question, 2)
        .relevance(0.5)
        .run()
        .unwrap();
    assert!(diverse[0].document < 4);
    assert_eq!(diverse[1].document, 9);
    assert!(
        retriever
            .retrieve(question, 2)
            .relevance(1.5)
            .run()
            .is_err()
    );
}

#[test]
fn a_document_is_replaced_and_removed_as_a_whole() {
    let retriever = memory();
    retriever.add(1, MASTITIS, Value::Null).unwrap();
    assert_eq!(retriever.add(1, GRAZING, Value::Null).unwrap(), 2);
    assert_eq!(retriever.index().len(), 2);
    let passages = retriever.retrieve("mastitis", 9).run().unwrap();
    assert!(
        passages
            .iter()
            .all(|passage| GRAZING.contains(&passage.text))
    );
    assert!(retriever.remove(1).unwrap());
    assert!(!retriever.remove(1).unwrap());
    assert_eq!(retriever.index().len(), 0);
}

#[test]
fn documents_survive_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents");
    {
        let index = Index::builder(DIM).file(&path).build().unwrap();
        let retriever = Retriever::new(index, embedder(), CHUNKING).unwrap();
        retriever.add(7, MASTITIS, json!({"year": 2024})).unwrap();
        retriever.index().flush().unwrap();
    }
    let retriever = Retriever::new(Index::open(&path).unwrap(), embedder(), CHUNKING).unwrap();
    let passages = retriever.retrieve("clots in milk", 1).run().unwrap();
    assert_eq!((passages[0].document, passages[0].chunk), (7, 1));
    assert_eq!(passages[0].metadata["year"], 2024);
    retriever.add(7, GRAZING, Value::Null).unwrap();
    assert_eq!(retriever.index().len(), 2);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let retriever = memory();
    retriever.add(1, MASTITIS, Value::Null).unwrap();
    assert!(
        retriever
            .add(DOCUMENT_ID_MAX + 1, "x", Value::Null)
            .is_err()
    );
    assert!(retriever.add(1, "x", json!({"_text": 1})).is_err());
    assert!(retriever.add(1, "x", json!([1])).is_err());
    assert_eq!(retriever.index().len(), 3);
    assert!(matches!(
        retriever.retrieve("x", 0).run(),
        Err(Error::ZeroK)
    ));
    let dot = Index::builder(DIM).metric(Metric::Dot).build().unwrap();
    assert!(Retriever::new(dot, embedder(), CHUNKING).is_err());
    let small = Index::builder(3).build().unwrap();
    assert!(Retriever::new(small, embedder(), CHUNKING).is_err());
    let broken = Embedder::new("broken", 3, |_| Err::<_, BoxError>("no model".into())).unwrap();
    let small = Index::builder(3).build().unwrap();
    let retriever = Retriever::new(small, broken.into(), CHUNKING).unwrap();
    assert!(matches!(
        retriever.add(1, "x", Value::Null),
        Err(Error::Embed(_))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Without a choice to make, the passages are all chunks that the filter admits.
    #[test]
    fn every_chunk_can_be_found(adds in prop::collection::vec((0_u64..4, 1_usize..6), 1..12)) {
        let retriever = memory();
        let mut model = std::collections::HashMap::new();
        for (document, sentences) in adds {
            let text = "The cows of this valley eat the hay of the hills, all of it. ".repeat(sentences);
            prop_assert_eq!(retriever.add(document, &text, json!({"d": document})).unwrap(), sentences);
            model.insert(document, sentences);
        }
        for (document, chunks) in &model {
            let filter = Filter::parse(&format!("d == {document}")).unwrap();
            let found = retriever.retrieve("hay", 100).filter(filter).run().unwrap();
            let mut numbers: Vec<usize> = found.iter().map(|passage| passage.chunk).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..*chunks).collect::<Vec<_>>());
        }
    }
}
