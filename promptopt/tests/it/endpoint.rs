//! An OpenAI-compatible endpoint: llama.cpp's own server, started here.
//!
//! `EDGEWEAVE_LLAMA_PYTHON` names a Python with the package `xllamacpp` or `llama-cpp-python[server]` of pip
//! and `EDGEWEAVE_GGUF` the model; without them the test says so and passes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use promptopt::model::{ChatForm, GenerateOptions, HttpModel, LanguageModel};
use promptopt::optimize::{Attempt, Evidence, ModelProposer, Proposer, Style};
use serde_json::Value;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn llama_cpp_scores_and_generates_through_its_server() {
    let (Some(python), Some(model)) = (
        std::env::var_os("EDGEWEAVE_LLAMA_PYTHON"),
        std::env::var_os("EDGEWEAVE_GGUF"),
    ) else {
        eprintln!("skipped: EDGEWEAVE_LLAMA_PYTHON and EDGEWEAVE_GGUF are not both set");
        return;
    };
    let port = free_port().to_string();
    let server = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/scripts/llama_server.py"
        ))
        .arg(model)
        .arg(&port)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Server(server);
    let url = format!("http://127.0.0.1:{port}/");
    let model =
        HttpModel::new(&url, "smollm2", Duration::from_secs(120)).with_chat_form(ChatForm::ChatMl);
    let ready = (0..240).any(|_| {
        std::thread::sleep(Duration::from_millis(500));
        model.count_tokens("ready").is_ok()
    });
    assert!(ready, "the server did not come up");

    let reference: Value =
        serde_json::from_str(include_str!("../fixtures/smollm2_reference.json")).unwrap();
    let prompt = reference["prompt"].as_str().unwrap();
    let options: Vec<&str> = reference["options"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o.as_str().unwrap())
        .collect();
    let scores = model.score(prompt, &options).unwrap();
    for (score, expected) in scores.iter().zip(reference["scores"].as_array().unwrap()) {
        // The server rounds activations to 8 bits beside 4-bit weights; the reference does not.
        assert!(
            (score - expected.as_f64().unwrap()).abs() < 0.8,
            "{scores:?}"
        );
    }
    assert!(scores[0] > scores[1] && scores[1] > scores[2]);
    let few = HttpModel::new(&url, "smollm2", Duration::from_secs(120)).with_listed_tokens(3);
    let bounded = few.score(prompt, &[" positive", " zebra"]).unwrap();
    // The server computes a prompt that it saw before in other batches, with other rounding.
    assert!((bounded[0] - scores[0]).abs() < 0.5, "{bounded:?}");
    assert!(
        bounded[1] < bounded[0] && bounded[1].is_finite(),
        "{bounded:?}"
    );

    let options = GenerateOptions {
        tokens_max: 6,
        ..GenerateOptions::default()
    };
    let text = model.generate(prompt, &options).unwrap();
    assert!(text.starts_with(" positive"), "{text:?}");
    let stopped = GenerateOptions {
        stop: vec!["\n".to_owned()],
        ..options
    };
    assert_eq!(model.generate(prompt, &stopped).unwrap(), " positive");
    for pair in reference["tokens"].as_array().unwrap() {
        let (text, tokens) = (pair[0].as_str().unwrap(), pair[1].as_array().unwrap());
        if text.contains("Hello") {
            assert_eq!(model.count_tokens(text).unwrap(), tokens.len());
        }
    }
    assert!(model.chat("", "hi").ends_with("<|im_start|>assistant\n"));
    for style in [Style::Grounded, Style::Reflective] {
        let written = ModelProposer::new(&model, style)
            .propose(&evidence(), 3)
            .unwrap();
        assert!(!written.is_empty(), "{style:?}: nothing usable in 3 tries");
        assert!(written.iter().all(|line| line.split(' ').count() > 1));
    }
}

/// A pump that was loud and taken for quiet once.
fn evidence() -> Evidence {
    let attempt = |answer: &str| Attempt {
        inputs: "the pump is loud".to_owned(),
        answer: answer.to_owned(),
        given: "quiet".to_owned(),
    };
    Evidence {
        labels: vec!["alarm".to_owned(), "quiet".to_owned()],
        prompt: "Alarm or quiet?".to_owned(),
        attempts: vec![attempt("alarm"), attempt("quiet")],
    }
}

/// Answers each request with the same bytes.
fn answering(body: &'static str, status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(body.as_bytes());
        }
    });
    url
}

#[test]
fn a_server_that_fails_or_answers_something_else_is_an_error_in_words() {
    let refusal = |url: &str| {
        let model = HttpModel::new(url, "m", Duration::from_secs(5));
        model.score("a", &[" b"]).unwrap_err().to_string()
    };
    assert!(refusal(&answering("no such model", "404 Not Found")).contains("404"));
    assert!(refusal(&answering("hello", "200 OK")).contains("no JSON"));
    let error = refusal(&answering(r#"{"choices":[{"text":"x"}]}"#, "200 OK"));
    assert!(error.contains("must know `logprobs`"), "{error}");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    assert!(refusal(&nobody).contains(&nobody), "the address is named");
}

#[test]
fn log_probabilities_are_read_in_either_form_of_the_protocol() {
    for body in [
        r#"{"choices":[{"logprobs":{"top_logprobs":[{" b":-0.5," c":-2.0}]}}]}"#,
        r#"{"choices":[{"logprobs":{"content":[{"token":" b","logprob":-0.5,"top_logprobs":[
            {"token":" b","logprob":-0.5},{"token":" c","logprob":-2.0}]}]}}]}"#,
    ] {
        let model = HttpModel::new(&answering(body, "200 OK"), "m", Duration::from_secs(5));
        assert_eq!(model.score("a", &[" b", " c"]).unwrap(), [-0.5, -2.0]);
    }
}

#[test]
fn an_endpoint_writes_instructions_and_repeats_count_once() {
    let body = "{\"choices\":[{\"message\":{\"content\":\" \\\"Say alarm when the pump is loud.\\\"\\nMore.\"}}]}";
    let evidence = evidence();
    for style in [Style::Grounded, Style::Reflective] {
        let model = HttpModel::new(&answering(body, "200 OK"), "m", Duration::from_secs(5));
        let proposer = ModelProposer::new(&model, style);
        let question = proposer.question(&evidence, 0);
        assert_eq!(
            question.contains("got these wrong"),
            style == Style::Reflective
        );
        let written = proposer.propose(&evidence, 2).unwrap();
        assert_eq!(written, ["Say alarm when the pump is loud."]);
    }
}
