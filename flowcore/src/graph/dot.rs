//! Graphviz DOT.

use std::fmt::Write as _;

use super::{Graph, colour};

impl Graph {
    /// A digraph for Graphviz: `dot -Tsvg`.
    pub fn to_dot(&self) -> String {
        let mut out = format!("digraph {} {{\n", quoted(&self.name));
        out.push_str("  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\"];\n");
        self.dot_cluster(None, 1, &mut out);
        for edge in &self.edges {
            let _ = write!(out, "  n{} -> n{}", edge.from, edge.to);
            let mut attributes = Vec::new();
            if !edge.label.is_empty() {
                attributes.push(format!("label={}", quoted(&edge.label)));
            }
            if edge.aside {
                attributes.push("style=dashed".to_owned());
            }
            if !attributes.is_empty() {
                let _ = write!(out, " [{}]", attributes.join(", "));
            }
            out.push_str(";\n");
        }
        out.push_str("}\n");
        out
    }

    fn dot_cluster(&self, cluster: Option<usize>, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        for (number, node) in self.nodes.iter().enumerate() {
            if node.cluster != cluster {
                continue;
            }
            let _ = write!(out, "{indent}n{number} [label={}", quoted(&node.label));
            if node.decides {
                out.push_str(", shape=diamond, style=filled");
            }
            if let Some(status) = node.status {
                let (name, fill) = colour(status);
                let _ = write!(out, ", fillcolor=\"{fill}\", tooltip=\"{name}\"");
            }
            out.push_str("];\n");
        }
        for (number, inner) in self.clusters.iter().enumerate() {
            if inner.parent != cluster {
                continue;
            }
            let _ = writeln!(out, "{indent}subgraph cluster_{number} {{");
            let _ = writeln!(out, "{indent}  label={};", quoted(&inner.label));
            self.dot_cluster(Some(number), depth + 1, out);
            let _ = writeln!(out, "{indent}}}");
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}
