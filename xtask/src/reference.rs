//! docs/api.md: the reference of the C ABI, made from include/sortie.h as cbindgen writes it.

use std::fmt::Write;

use crate::Result;
use crate::project::{self, Project};

const FILE: &str = "docs/api.md";
const HEADER: &str = "include/sortie.h";

/// Something that the header declares.
pub struct Item {
    pub name: String,
    pub kind: Kind,
    /// The lines of its comment.
    doc: Vec<String>,
}

pub enum Kind {
    /// With its value.
    Constant(String),
    Struct(Vec<Field>),
    /// A name for a number, or a struct that only the library can look into: as declared.
    Type(String),
    /// As declared.
    Function(String),
}

pub struct Field {
    pub name: String,
    pub kind: String,
    doc: Vec<String>,
}

/// Headings of functions, and how the names below each begin. A name goes where its longest match is.
const FUNCTIONS: &[(&str, &[&str])] = &[
    ("Clients", &["sortie_client_"]),
    (
        "Requests",
        &["sortie_submit", "sortie_get", "sortie_download", "sortie_upload", "sortie_cancel", "sortie_request_"],
    ),
    ("Draining events", &["sortie_poll", "sortie_wait"]),
    ("Reading events", &["sortie_event_"]),
    ("Bodies taken over", &["sortie_body_"]),
    ("Cookies", &["sortie_client_set_cookie", "sortie_client_cookies", "sortie_client_clear_cookies"]),
    ("Reachability", &["sortie_reachability_", "sortie_client_network"]),
    ("Answers made up for tests", &["sortie_client_mock", "sortie_client_unmock"]),
    ("Encoding", &["sortie_form_", "sortie_percent_"]),
    (
        "Versions and texts",
        &["sortie_abi_version", "sortie_version", "sortie_result_", "sortie_error_", "sortie_last_"],
    ),
];

/// Headings of constants, by the word after `SORTIE_`. A group that is not here goes by its prefix.
const CONSTANTS: &[(&str, &str)] = &[
    ("RESULT", "Results of calls"),
    ("EVENT", "Event types"),
    ("ERROR", "Errors of requests"),
    ("REQUEST", "Request flags"),
    ("CHARSET", "Where a charset was found"),
    ("BODY", "Body kinds"),
    ("PROGRESS", "Progress"),
    ("PRIORITY", "Priorities"),
    ("DIRECTORY", "Base directories"),
    ("HTTP", "HTTP versions"),
    ("PROTOCOL", "What a response came in"),
    ("TRACE", "How much the trace tells"),
    ("TLS", "TLS versions"),
    ("CACHE", "Cache modes"),
    ("CLIENT", "Client flags"),
    ("NETWORK", "What a network is like"),
];

const INTRODUCTION: &str = "\
# API reference

Every function, struct and constant of `sortie.h`. Generated from it by `cargo xtask reference`: do not edit. The
[guide](guide.md) tells how they work together.
";

/// Writes the reference anew.
pub fn write(project: &Project) -> Result<()> {
    project::write(&project.root.join(FILE), &markdown(&project.read(HEADER)?))
}

/// All that the header declares.
pub fn declarations(project: &Project) -> Result<Vec<Item>> {
    Ok(parse(&project.read(HEADER)?))
}

/// The committed reference is the header's.
pub fn check(project: &Project) -> Result<()> {
    if project.read(FILE)? == markdown(&project.read(HEADER)?) {
        return Ok(());
    }
    Err(format!("{FILE} is not what {HEADER} gives: run `cargo xtask reference`, and commit it"))
}

/// The reference of a header.
fn markdown(header: &str) -> String {
    let items = parse(header);
    let mut sections = functions(&items);
    sections.push(structs(&items));
    sections.push(types(&items));
    sections.push(constants(&items));
    let mut page = INTRODUCTION.to_owned();
    page.push('\n');
    for section in &sections {
        let _ = writeln!(page, "- [{}](#{}): {}", section.title, anchor(&section.title), section.summary);
    }
    for section in &sections {
        let _ = write!(page, "\n## {}\n{}", section.title, section.text);
    }
    page
}

/// A part of the page.
struct Section {
    title: String,
    /// For the table of contents.
    summary: String,
    text: String,
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

// ---- Reading the header ---------------------------------------------------------------------------------------------

fn parse(header: &str) -> Vec<Item> {
    let mut lines = header.lines().map(str::trim_end);
    let mut items = Vec::new();
    let mut doc = Vec::new();
    while let Some(line) = lines.next() {
        if line == "/**" {
            doc = comment(&mut lines);
        } else if line.starts_with("/*") {
            // The licence at the top, and what stands behind the include guard's end.
            while !line.contains("*/") && lines.next().is_some_and(|line| !line.contains("*/")) {}
        } else if let Some(definition) = line.strip_prefix("#define ") {
            // The include guard has no value.
            if let Some((name, value)) = definition.split_once(' ') {
                let (name, kind) = (name.to_owned(), Kind::Constant(value.trim().to_owned()));
                items.push(Item { name, kind, doc: std::mem::take(&mut doc) });
            }
        } else if line == "typedef struct {" {
            let (name, fields) = fields(&mut lines);
            items.push(Item { name, kind: Kind::Struct(fields), doc: std::mem::take(&mut doc) });
        } else if !line.is_empty() && !line.starts_with('#') && !line.starts_with("extern") && !line.starts_with('}') {
            let (name, kind) = declared(declaration(line, &mut lines));
            items.push(Item { name, kind, doc: std::mem::take(&mut doc) });
        }
    }
    items
}

/// The lines of a comment, up to its end.
fn comment<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let inside = lines.map(str::trim).take_while(|line| *line != "*/");
    inside
        .map(|line| line.strip_prefix('*').map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest)).into())
        .collect()
}

/// A struct's name and fields, up to its end.
fn fields<'a>(lines: &mut impl Iterator<Item = &'a str>) -> (String, Vec<Field>) {
    let mut fields = Vec::new();
    let mut doc = Vec::new();
    while let Some(line) = lines.next().map(str::trim) {
        if let Some(name) = line.strip_prefix("} ") {
            return (name.trim_end_matches(';').to_owned(), fields);
        }
        if line == "/**" {
            doc = comment(lines);
        } else if let Some(field) = line.strip_suffix(';') {
            let (kind, name) = name_last(field);
            fields.push(Field { name, kind, doc: std::mem::take(&mut doc) });
        }
    }
    (String::new(), fields)
}

/// A declaration as it stands in the header, up to its semicolon.
fn declaration<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut all = first.to_owned();
    while !all.ends_with(';') {
        let Some(line) = lines.next() else { break };
        let _ = write!(all, "\n{line}");
    }
    all
}

/// A function, or a type that is only named.
fn declared(declaration: String) -> (String, Kind) {
    if declaration.starts_with("typedef ") {
        return (name_last(declaration.trim_end_matches(';')).1, Kind::Type(declaration));
    }
    let before = declaration.split('(').next().unwrap_or_default();
    (name_last(before).1, Kind::Function(declaration))
}

/// Splits `const char *name` and `uint64_t name[4]` into type and name.
fn name_last(declarator: &str) -> (String, String) {
    let (declarator, array) = match declarator.find('[') {
        Some(at) => declarator.split_at(at),
        None => (declarator, ""),
    };
    let start = declarator.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    let (kind, name) = declarator.split_at(start);
    (format!("{}{array}", kind.trim_end()), name.to_owned())
}

// ---- Documentation comments -----------------------------------------------------------------------------------------

/// A function's comment, taken apart.
#[derive(Default)]
struct Comment {
    text: Vec<String>,
    parameters: Vec<(String, String)>,
    returns: String,
    threads: String,
    since: String,
}

/// Takes a comment apart. A tag's text goes on in the lines that follow it.
fn tagged(doc: &[String]) -> Comment {
    enum Part {
        Text,
        Parameter,
        Returns,
        Threads,
        Since,
    }
    let mut comment = Comment::default();
    let mut part = Part::Text;
    for line in doc {
        let (tag, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (next, text) = match tag {
            "@param" => {
                let (name, text) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
                comment.parameters.push((name.to_owned(), String::new()));
                (Part::Parameter, text)
            }
            "@return" => (Part::Returns, rest),
            "@threadsafety" => (Part::Threads, rest),
            "@since" => (Part::Since, rest),
            _ => (part, line.as_str()),
        };
        part = next;
        match &part {
            Part::Text => comment.text.push(line.clone()),
            Part::Parameter => {
                if let Some((_, told)) = comment.parameters.last_mut() {
                    add_words(told, text);
                }
            }
            Part::Returns => add_words(&mut comment.returns, text),
            Part::Threads => add_words(&mut comment.threads, text),
            Part::Since => add_words(&mut comment.since, text),
        }
    }
    comment
}

fn add_words(to: &mut String, text: &str) {
    for word in text.split_whitespace() {
        if !to.is_empty() {
            to.push(' ');
        }
        to.push_str(word);
    }
}

/// A comment's paragraphs, each in one line of Markdown.
fn paragraphs(doc: &[String]) -> Vec<String> {
    let joined = doc.split(|line| line.trim().is_empty()).map(|lines| prose(&lines.join(" ")));
    joined.filter(|paragraph| !paragraph.is_empty()).collect()
}

/// The same in a cell of a table.
fn cell(doc: &[String]) -> String {
    paragraphs(doc).join(" ").replace('|', "\\|")
}

/// Text as Markdown: identifiers and addresses become code, what would be markup is escaped. Spans between backticks are
/// code already.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (index, span) in text.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(out, "`{span}`");
            continue;
        }
        // What stands next to a span stays next to it.
        let (starts, ends) = (span.starts_with(char::is_whitespace), span.ends_with(char::is_whitespace));
        let words: Vec<String> = span.split_whitespace().map(word).collect();
        if starts && !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&words.join(" "));
        if ends && !words.is_empty() {
            out.push(' ');
        }
    }
    out.trim().to_owned()
}

/// One word as Markdown, without what stands around it: quotes, stops, brackets that open before or close after it.
fn word(word: &str) -> String {
    let edge = |c: char| matches!(c, '"' | '\'' | ',' | '.' | ';' | ':');
    let mut core = word.trim_start_matches(|c| c == '(' || edge(c));
    loop {
        let mut shorter = core.trim_end_matches(edge);
        shorter = shorter.strip_suffix("'s").unwrap_or(shorter);
        if !shorter.contains('(') {
            shorter = shorter.trim_end_matches(')');
        }
        if shorter.len() == core.len() {
            break;
        }
        core = shorter;
    }
    let is_code = core.contains("://") || (core.contains('_') && !core.contains('"'));
    match word.split_once(core) {
        Some((before, after)) if is_code => format!("{}`{core}`{}", escape(before), escape(after)),
        _ => escape(word),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '*' | '_' | '[' | ']' | '\\' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

// ---- Writing the sections -------------------------------------------------------------------------------------------

fn functions(items: &[Item]) -> Vec<Section> {
    let heading = |name: &str| {
        let matches = FUNCTIONS.iter().flat_map(|(title, starts)| starts.iter().map(move |start| (start, title)));
        let best = matches.filter(|(start, _)| name.starts_with(**start)).max_by_key(|(start, _)| start.len());
        best.map_or("Other functions", |(_, title)| title)
    };
    let titles = FUNCTIONS.iter().map(|(title, _)| *title).chain(["Other functions"]);
    titles
        .filter_map(|title| {
            let mut section = Section { title: title.to_owned(), summary: String::new(), text: String::new() };
            for item in items {
                let Kind::Function(declaration) = &item.kind else { continue };
                if heading(&item.name) == title {
                    add_link(&mut section.summary, &format!("`{}`", item.name), &item.name);
                    function(&mut section.text, &item.name, declaration, &tagged(&item.doc));
                }
            }
            (!section.text.is_empty()).then_some(section)
        })
        .collect()
}

fn function(out: &mut String, name: &str, declaration: &str, comment: &Comment) {
    let _ = write!(out, "\n### `{name}`\n\n```c\n{declaration}\n```\n");
    for paragraph in paragraphs(&comment.text) {
        let _ = write!(out, "\n{paragraph}\n");
    }
    if !comment.parameters.is_empty() {
        out.push_str("\n| Parameter | |\n|---|---|\n");
        for (name, text) in &comment.parameters {
            let _ = writeln!(out, "| `{name}` | {} |", prose(text).replace('|', "\\|"));
        }
    }
    if !comment.returns.is_empty() {
        let _ = write!(out, "\n**Returns** {}.\n", prose(&comment.returns));
    }
    let _ = write!(out, "\nThreads: {}. Since {}.\n", prose(&comment.threads), comment.since);
}

fn structs(items: &[Item]) -> Section {
    let mut section = Section { title: "Structs".to_owned(), summary: String::new(), text: String::new() };
    for item in items {
        let Kind::Struct(fields) = &item.kind else { continue };
        add_link(&mut section.summary, &format!("`{}`", item.name), &item.name);
        let _ = write!(section.text, "\n### `{}`\n", item.name);
        for paragraph in paragraphs(&item.doc) {
            let _ = write!(section.text, "\n{paragraph}\n");
        }
        section.text.push_str("\n| Field | Type | |\n|---|---|---|\n");
        for field in fields {
            let _ = writeln!(section.text, "| `{}` | `{}` | {} |", field.name, field.kind, cell(&field.doc));
        }
    }
    section
}

fn types(items: &[Item]) -> Section {
    let mut section = Section { title: "Other types".to_owned(), summary: String::new(), text: String::new() };
    for item in items {
        let Kind::Type(declaration) = &item.kind else { continue };
        add_link(&mut section.summary, &format!("`{}`", item.name), &item.name);
        let _ = write!(section.text, "\n### `{}`\n\n```c\n{declaration}\n```\n", item.name);
        for paragraph in paragraphs(&item.doc) {
            let _ = write!(section.text, "\n{paragraph}\n");
        }
    }
    section
}

fn add_link(links: &mut String, text: &str, heading: &str) {
    if !links.is_empty() {
        links.push_str(", ");
    }
    let _ = write!(links, "[{text}](#{})", anchor(heading));
}

/// The word that says which group a constant belongs to.
fn group(name: &str) -> &str {
    match name.strip_prefix("SORTIE_").unwrap_or(name) {
        // Beside its negative relatives.
        "OK" => "RESULT",
        rest => rest.split('_').next().unwrap_or(rest),
    }
}

fn constants(items: &[Item]) -> Section {
    let all: Vec<(&str, &str, &[String])> = items
        .iter()
        .filter_map(|item| match &item.kind {
            Kind::Constant(value) => Some((item.name.as_str(), value.as_str(), item.doc.as_slice())),
            _ => None,
        })
        .collect();
    let count = |word: &str| all.iter().filter(|(name, ..)| group(name) == word).count();
    let mut words: Vec<&str> = CONSTANTS.iter().map(|(word, _)| *word).collect();
    for (name, ..) in &all {
        if !words.contains(&group(name)) {
            words.push(group(name));
        }
    }
    let (groups, single): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| count(word) > 1);
    let mut section = Section { title: "Constants".to_owned(), summary: String::new(), text: String::new() };
    let titled = groups.into_iter().map(|word| {
        let title = CONSTANTS.iter().find(|(known, _)| *known == word).map(|(_, title)| (*title).to_owned());
        (title.unwrap_or_else(|| format!("SORTIE_{word}")), vec![word])
    });
    for (title, words) in titled.chain([("Other constants".to_owned(), single)]) {
        let rows: Vec<_> = all.iter().filter(|(name, ..)| words.contains(&group(name))).collect();
        if rows.is_empty() {
            continue;
        }
        add_link(&mut section.summary, &title, &title);
        let _ = write!(section.text, "\n### {title}\n\n| Constant | Value | |\n|---|---|---|\n");
        for (name, value, doc) in rows {
            let _ = writeln!(section.text, "| `{name}` | `{value}` | {} |", cell(doc));
        }
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"/*
 * A licence; int not_a_function(void);
 */

#ifndef SORTIE_H
#define SORTIE_H

#include <stdint.h>

#define SORTIE_VERSION "1.2.3"

/**
 * Some a|b kind.
 */
#define SORTIE_KIND_A 0

/**
 * Another
 * kind, SORTIE_KIND_A's neighbour.
 */
#define SORTIE_KIND_B 1

/**
 * All is well.
 */
#define SORTIE_OK 0

/**
 * Refused.
 */
#define SORTIE_RESULT_BAD -1

/**
 * Opaque.
 */
typedef struct sortie_client sortie_client;

/**
 * A number.
 */
typedef int32_t sortie_result;

/**
 * A struct; `{ .size = a|b }` is complete.
 *
 * Two paragraphs.
 */
typedef struct {
    /**
     * Its name, see *_text.
     */
    const char *name;
    /**
     * Zero.
     */
    uint64_t reserved[4];
    sortie_thing **things;
} sortie_thing;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Does a thing. See sortie_other() (or "http://host:port", "https://").
 *
 * Never waits.
 *
 * @param client  a live client;
 *                must not be NULL
 * @param out     receives it
 * @return SORTIE_OK, or
 *         SORTIE_RESULT_BAD
 * @threadsafety   any thread
 * @since          1.2.3
 */
sortie_result sortie_client_do(sortie_client *client,
                               const char **out);

/**
 * Stands alone.
 */
uint32_t sortie_unheard_of(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SORTIE_H */
"#;

    #[test]
    fn a_function_is_told_with_all_its_tags() {
        let page = markdown(HEADER);
        let told = "### `sortie_client_do`\n\n```c\nsortie_result sortie_client_do(sortie_client *client,\n                               \
                    const char **out);\n```\n\nDoes a thing. See `sortie_other()` (or \"`http://host:port`\", \
                    \"`https://`\").\n\nNever waits.\n\n| Parameter | |\n|---|---|\n| `client` | a live client; must not be NULL \
                    |\n| `out` | receives it |\n\n**Returns** `SORTIE_OK`, or `SORTIE_RESULT_BAD`.\n\nThreads: any thread. \
                    Since 1.2.3.\n";
        assert!(page.contains(told), "{page}");
        assert!(page.contains("## Other functions\n\n### `sortie_unheard_of`"), "{page}");
        assert!(!page.contains("not_a_function") && !page.contains('@'));
    }

    #[test]
    fn a_struct_is_a_table_of_its_fields() {
        let page = markdown(HEADER);
        let table = "| Field | Type | |\n|---|---|---|\n| `name` | `const char *` | Its name, see `*_text`. |\n\
                     | `reserved` | `uint64_t[4]` | Zero. |\n| `things` | `sortie_thing **` |  |\n";
        assert!(page.contains(table), "{page}");
        assert!(page.contains("A struct; `{ .size = a|b }` is complete.\n\nTwo paragraphs.\n"), "{page}");
    }

    #[test]
    fn constants_are_grouped_by_their_prefix() {
        let page = markdown(HEADER);
        let kinds = "### SORTIE_KIND\n\n| Constant | Value | |\n|---|---|---|\n| `SORTIE_KIND_A` | `0` | Some a\\|b kind. |\n\
                     | `SORTIE_KIND_B` | `1` | Another kind, `SORTIE_KIND_A`'s neighbour. |\n";
        assert!(page.contains(kinds), "{page}");
        let results = "### Results of calls\n\n| Constant | Value | |\n|---|---|---|\n| `SORTIE_OK` | `0` | All is well. |\n\
                       | `SORTIE_RESULT_BAD` | `-1` | Refused. |\n";
        assert!(page.contains(results), "{page}");
        let others =
            "### Other constants\n\n| Constant | Value | |\n|---|---|---|\n| `SORTIE_VERSION` | `\"1.2.3\"` |  |\n";
        assert!(page.contains(others), "{page}");
    }

    #[test]
    fn named_types_are_told_as_declared() {
        let page = markdown(HEADER);
        assert!(
            page.contains("### `sortie_client`\n\n```c\ntypedef struct sortie_client sortie_client;\n```\n\nOpaque.")
        );
        assert!(
            page.contains("### `sortie_result`\n\n```c\ntypedef int32_t sortie_result;\n```\n\nA number."),
            "{page}"
        );
    }

    #[test]
    fn words_become_code_only_where_they_are() {
        assert_eq!(
            prose("as sortie_event_*() does (see max_requests)."),
            "as `sortie_event_*()` does (see `max_requests`)."
        );
        assert_eq!(
            prose("sizeof(sortie_stats), set by you; \"*\" or 2^53"),
            "`sizeof(sortie_stats)`, set by you; \"\\*\" or 2^53"
        );
        assert_eq!(prose("(`a_b`), a<b"), "(`a_b`), a&lt;b");
    }

    #[test]
    fn nothing_of_the_committed_header_is_left_out() {
        let header = include_str!("../../include/sortie.h");
        let page = markdown(header);
        assert!(!page.contains("Other functions"), "a function has no heading in FUNCTIONS");
        for Item { name, .. } in parse(header) {
            assert!(page.contains(&format!("| `{name}` | ")) || page.contains(&format!("### `{name}`\n")), "{name}");
        }
        assert_eq!(page.matches("\n**Returns** ").count(), header.matches("@return").count());
        assert_eq!(page.matches("\nThreads: ").count(), header.matches("@threadsafety").count());
    }
}
