//! Mermaid flowcharts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Graph, colour};

impl Graph {
    /// A Mermaid flowchart: paste it into a page that renders Mermaid, such as a README.
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        self.mermaid_cluster(None, 1, &mut out);
        for edge in &self.edges {
            let arrow = if edge.aside { "-.->" } else { "-->" };
            let label = if edge.label.is_empty() {
                String::new()
            } else {
                format!("|{}|", quoted(&edge.label))
            };
            let _ = writeln!(out, "  n{} {arrow}{label} n{}", edge.from, edge.to);
        }
        let used: BTreeSet<_> = self
            .nodes
            .iter()
            .filter_map(|node| node.status.map(colour))
            .collect();
        for (name, fill) in used {
            let _ = writeln!(out, "  classDef {name} fill:{fill},stroke:#555,color:#000");
        }
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(status) = node.status {
                let _ = writeln!(out, "  class n{number} {}", colour(status).0);
            }
        }
        out
    }

    fn mermaid_cluster(&self, cluster: Option<usize>, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        for (number, node) in self.nodes.iter().enumerate() {
            if node.cluster != cluster {
                continue;
            }
            let label = quoted(&node.label);
            let _ = match node.decides {
                true => writeln!(out, "{indent}n{number}{{{label}}}"),
                false => writeln!(out, "{indent}n{number}[{label}]"),
            };
        }
        for (number, inner) in self.clusters.iter().enumerate() {
            if inner.parent != cluster {
                continue;
            }
            let _ = writeln!(out, "{indent}subgraph c{number}[{}]", quoted(&inner.label));
            self.mermaid_cluster(Some(number), depth + 1, out);
            let _ = writeln!(out, "{indent}end");
        }
    }
}

/// In quotes, with what Mermaid would take for its own as entities.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("#quot;"),
            '#' => quoted.push_str("#35;"),
            '&' => quoted.push_str("#amp;"),
            '<' => quoted.push_str("#lt;"),
            '>' => quoted.push_str("#gt;"),
            '\n' => quoted.push_str("<br/>"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
