//! The report as one page that a browser shows without a network.

use std::fmt::Write;

use super::report::{Finalist, Measured, Report};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 50.0;
/// Loss of accuracy at which a shorter prompt still counts as equal.
const NOT_WORSE: f64 = 0.01;

impl Report {
    /// The report as a page: the table of tiers and baselines, the plot of accuracy against tokens with the
    /// front, and the prompts.
    pub fn to_html(&self) -> String {
        let mut page = String::new();
        // Writing to a String does not fail.
        let _ = self.write_html(&mut page);
        page
    }

    fn write_html(&self, page: &mut String) -> std::fmt::Result {
        write!(
            page,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Prompts for {}</title>\
             <style>body{{font:15px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
             table{{border-collapse:collapse}}td,th{{padding:.3em .7em;border-bottom:1px solid #ccc;text-align:right}}\
             td:first-child,th:first-child{{text-align:left}}pre{{background:#f4f4f4;padding:.7em;white-space:pre-wrap}}\
             </style></head><body><h1>Prompts for {}</h1>",
            escape(&self.model),
            escape(&self.model)
        )?;
        write!(
            page,
            "<p>{} prompts tried with {} of {} calls in {:.0} s, seed {}, compared by {}. {}. Examples: {} for training, \
             {} for validation, {} for the test, which was opened {} time(s). Texts are read up to {} characters; {} \
             are longer.</p>",
            self.candidates,
            self.calls,
            self.calls_max,
            self.seconds,
            self.seed,
            escape(&self.metric),
            if self.labels.is_empty() {
                "The model writes the answers".to_owned()
            } else {
                format!("Labels: {}", escape(&self.labels.join(", ")))
            },
            self.split.0,
            self.split.1,
            self.split.2,
            self.test_opened,
            self.input_chars,
            self.inputs_cut
        )?;
        page.push_str(
            "<table><tr><th>prompt</th><th>test accuracy</th><th>95 % interval</th><th>tokens</th>\
             <th>first use p50 / p95 ms</th><th>later p50 / p95 ms</th><th>p, naive</th><th>p, random-5</th></tr>",
        );
        let interval = |measured: &Measured| {
            format!(
                "{:.1} to {:.1}",
                100.0 * measured.interval.0,
                100.0 * measured.interval.1
            )
        };
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        let pair = |low: f64, high: f64| format!("{low:.0} / {high:.0}");
        let blank = String::new;
        table_row(
            page,
            &[
                format!("always `{}`", self.majority.label),
                percent(self.majority.accuracy),
                blank(),
                "0".to_owned(),
                blank(),
                blank(),
                blank(),
                blank(),
            ],
        )?;
        let naive = &self.naive;
        table_row(
            page,
            &[
                "naive".to_owned(),
                percent(naive.test.accuracy),
                interval(&naive.test),
                naive.tokens.to_string(),
                pair(naive.latency.cold_p50_ms, naive.latency.cold_p95_ms),
                pair(naive.latency.warm_p50_ms, naive.latency.warm_p95_ms),
                String::new(),
                String::new(),
            ],
        )?;
        if let Some(calibrated) = &naive.calibrated {
            table_row(
                page,
                &[
                    "naive, calibrated".to_owned(),
                    percent(calibrated.accuracy),
                    interval(calibrated),
                    naive.tokens.to_string(),
                    blank(),
                    blank(),
                    blank(),
                    blank(),
                ],
            )?;
        }
        let random = &self.random_5;
        table_row(
            page,
            &[
                format!("5 random examples, mean of {} draws", random.sets),
                percent(random.mean),
                format!("deviation {:.1}", 100.0 * random.deviation),
                format!("{:.0}", random.tokens),
                pair(random.latency.cold_p50_ms, random.latency.cold_p95_ms),
                pair(random.latency.warm_p50_ms, random.latency.warm_p95_ms),
                String::new(),
                String::new(),
            ],
        )?;
        for tier in &self.tiers {
            table_row(
                page,
                &[
                    tier.tier.to_string(),
                    percent(tier.test.accuracy),
                    interval(&tier.test),
                    tier.prompt_tokens.to_string(),
                    pair(tier.latency.cold_p50_ms, tier.latency.cold_p95_ms),
                    pair(tier.latency.warm_p50_ms, tier.latency.warm_p95_ms),
                    format!("{:.1e}", tier.p_naive_holm),
                    format!("{:.1e}", tier.p_random_holm),
                ],
            )?;
        }
        page.push_str(
            "</table><p>p-values are corrected over the tiers (Holm): exact McNemar against the naive prompt, sign \
             flips against the mean of the random draws. First use: nothing of the prompt was seen before; later: \
             its fixed part was.</p><h2>Against the random draws</h2><table><tr><th>prompt</th><th>gain, 95 % \
             interval</th><th>as good within 1 point</th><th>times fewer tokens</th><th>times faster, first \
             use</th><th>validation less test</th><th>words in a row shared with a test text</th></tr>",
        );
        for tier in &self.tiers {
            let (least, most) = tier.gain_random;
            let worse = if least >= -NOT_WORSE {
                "yes"
            } else {
                "not shown"
            };
            table_row(
                page,
                &[
                    tier.tier.to_string(),
                    format!("{:+.1} to {:+.1}", 100.0 * least, 100.0 * most),
                    worse.to_owned(),
                    format!("{:.1}", tier.tokens_saved),
                    format!(
                        "{:.1}",
                        random.latency.cold_p50_ms / tier.latency.cold_p50_ms.max(1e-9)
                    ),
                    format!("{:+.1}", 100.0 * tier.winners_curse),
                    tier.copied_words.to_string(),
                ],
            )?;
        }
        page.push_str("</table><h2>Validation accuracy against tokens</h2>");
        plot(page, &self.finalists)?;
        page.push_str("<h2>Prompts</h2>");
        for tier in &self.tiers {
            write!(
                page,
                "<h3>{}</h3><p>{}; rule: {}; validation less test accuracy: {:.1} points; longest run of words \
                 shared with a test example: {}</p><pre>{}</pre>",
                tier.tier,
                escape(&tier.about),
                escape(&tier.rule),
                100.0 * tier.winners_curse,
                tier.copied_words,
                escape(&tier.template)
            )?;
        }
        page.push_str("</body></html>\n");
        Ok(())
    }
}

fn table_row(page: &mut String, cells: &[String]) -> std::fmt::Result {
    page.push_str("<tr>");
    for cell in cells {
        write!(page, "<td>{}</td>", escape(cell))?;
    }
    page.push_str("</tr>");
    Ok(())
}

/// Accuracy upwards, tokens to the right; prompts on the front are filled and joined.
fn plot(page: &mut String, finalists: &[Finalist]) -> std::fmt::Result {
    let tokens_max = finalists.iter().map(|f| f.tokens).max().unwrap_or(1).max(1) as f64;
    let low = finalists.iter().map(|f| f.accuracy).fold(1.0, f64::min);
    let high = finalists.iter().map(|f| f.accuracy).fold(0.0, f64::max);
    let span = (high - low).max(0.01);
    let x = |tokens: usize| MARGIN + (WIDTH - 2.0 * MARGIN) * tokens as f64 / tokens_max;
    let y = |accuracy: f64| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * (accuracy - low) / span;
    write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"accuracy against tokens\">\
         <path d=\"M{MARGIN} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\
         <text x=\"{right}\" y=\"{label_y}\" text-anchor=\"end\" font-size=\"12\">tokens, up to {tokens_max:.0}</text>\
         <text x=\"4\" y=\"{top}\" font-size=\"12\">{:.1} %</text><text x=\"4\" y=\"{bottom}\" font-size=\"12\">{:.1} %</text>",
        100.0 * (low + span),
        100.0 * low,
        bottom = HEIGHT - MARGIN,
        right = WIDTH - MARGIN,
        label_y = HEIGHT - MARGIN + 20.0,
        top = MARGIN + 4.0,
    )?;
    let mut front: Vec<&Finalist> = finalists.iter().filter(|f| f.on_front).collect();
    front.sort_by_key(|f| f.tokens);
    let points: Vec<String> = front
        .iter()
        .map(|f| format!("{:.1},{:.1}", x(f.tokens), y(f.accuracy)))
        .collect();
    write!(
        page,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#06c\"/>",
        points.join(" ")
    )?;
    for finalist in finalists {
        write!(
            page,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\" stroke=\"#06c\" fill=\"{}\"><title>{}: {:.1} %, {} tokens, {:.0} ms</title></circle>",
            x(finalist.tokens),
            y(finalist.accuracy),
            if finalist.on_front { "#06c" } else { "#fff" },
            escape(&finalist.about),
            100.0 * finalist.accuracy,
            finalist.tokens,
            finalist.latency.cold_p95_ms
        )?;
    }
    page.push_str("</svg>");
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
