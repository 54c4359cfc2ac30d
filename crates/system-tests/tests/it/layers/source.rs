//! What a source file declares and imports, as far as paths are concerned. A tokenizer and a reader of `use` trees:
//! no parser of Rust, but enough for code that rustfmt has formatted.

use std::collections::BTreeSet;

#[derive(Default)]
pub struct Source {
    /// The names of the items that it defines.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// The submodules that exist only for tests.
    pub test_modules: BTreeSet<String>,
}

/// A `use` declaration, or a path in code.
pub struct Import {
    /// Relative to the file's module: inline modules are resolved.
    pub path: Vec<String>,
    /// Whether it is re-exported.
    pub is_public: bool,
    /// The name that it has here; none for a glob.
    pub name: Option<String>,
}

pub fn parse(text: &str) -> Source {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0, inline: Vec::new(), depth: 0 };
    let mut source = Source::default();
    while reader.at < tokens.len() {
        reader.read(&mut source);
    }
    source
}

struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    /// The depths of braces at which inline modules began.
    inline: Vec<usize>,
    depth: usize,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    fn before(&self) -> &str {
        self.at.checked_sub(1).map_or("", |before| &self.tokens[before])
    }

    fn read(&mut self, source: &mut Source) {
        match self.token(0) {
            "#" if self.token(1) == "[" || self.token(2) == "[" => self.attribute(source),
            "{" => {
                self.depth += 1;
                self.at += 1;
            }
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                if self.inline.last() == Some(&self.depth) {
                    self.inline.pop();
                }
                self.at += 1;
            }
            "mod" if self.token(2) == "{" => {
                self.inline.push(self.depth);
                source.items.insert(self.token(1).to_owned());
                self.at += 2;
            }
            "use" => self.declaration(source),
            "struct" | "enum" | "trait" | "type" | "union" | "static" | "fn" | "const" => {
                source.items.insert(self.token(1).to_owned());
                self.at += 1;
            }
            "macro_rules" => {
                source.items.insert(self.token(2).to_owned());
                self.at += 3;
            }
            first if is_name(first) && self.token(1) == "::" && self.starts_a_path() => {
                self.path(source);
            }
            _ => self.at += 1,
        }
    }

    /// Skips an attribute, and what follows it if that is for tests only.
    fn attribute(&mut self, source: &mut Source) {
        let begin = self.at;
        while self.token(0) != "[" {
            self.at += 1;
        }
        self.skip_brackets();
        let text = self.tokens[begin..self.at].concat();
        if text != "#[cfg(test)]" {
            return;
        }
        while self.token(0) == "#" {
            self.at += 1;
            self.skip_brackets();
        }
        if self.token(0) == "mod" && self.token(2) == ";" {
            source.test_modules.insert(self.token(1).to_owned());
        }
        while self.at < self.tokens.len() && self.token(0) != ";" {
            if matches!(self.token(0), "(" | "[") {
                self.skip_brackets();
            } else if self.token(0) == "{" {
                return self.skip_brackets();
            } else {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    /// From an opening bracket to behind the one that closes it.
    fn skip_brackets(&mut self) {
        let mut open = 0_usize;
        while self.at < self.tokens.len() {
            match self.token(0) {
                "(" | "[" | "{" => open += 1,
                ")" | "]" | "}" => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    fn declaration(&mut self, source: &mut Source) {
        let mut back = self.at;
        if self.before() == ")" {
            while back > 0 && self.tokens[back] != "(" {
                back -= 1;
            }
        }
        let is_public = back.checked_sub(1).is_some_and(|before| self.tokens[before] == "pub");
        self.at += 1;
        self.tree(&[], is_public, source);
    }

    /// `a::b`, `a::{b, c as d}`, `a::*`: up to the comma, brace or semicolon behind it.
    fn tree(&mut self, prefix: &[String], is_public: bool, source: &mut Source) {
        let mut path = prefix.to_vec();
        loop {
            match self.token(0) {
                "{" => {
                    self.at += 1;
                    while self.token(0) != "}" && self.at < self.tokens.len() {
                        self.tree(&path, is_public, source);
                        if self.token(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    return self.import(path, is_public, None, source);
                }
                "::" => self.at += 1,
                "as" => {
                    let name = self.token(1).to_owned();
                    self.at += 2;
                    return self.import(path, is_public, Some(name), source);
                }
                name if is_name(name) => {
                    path.push(name.to_owned());
                    self.at += 1;
                }
                _ => {
                    let name = path.last().cloned();
                    return self.import(path, is_public, name, source);
                }
            }
        }
    }

    /// A path in code begins here, and isn't the end of a longer one.
    fn starts_a_path(&self) -> bool {
        !matches!(self.before(), "::" | ".")
    }

    fn path(&mut self, source: &mut Source) {
        let mut path = vec![self.token(0).to_owned()];
        self.at += 1;
        while self.token(0) == "::" && is_name(self.token(1)) {
            path.push(self.token(1).to_owned());
            self.at += 2;
        }
        let name = path.last().cloned();
        self.import(path, false, name, source);
    }

    fn import(
        &self,
        mut path: Vec<String>,
        is_public: bool,
        mut name: Option<String>,
        source: &mut Source,
    ) {
        // `a::{self}` is `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
            name = path.last().cloned();
        }
        // In an inline module, the file's module is one level further up.
        for _ in &self.inline {
            if path.first().is_some_and(|first| first == "super") {
                path.remove(0);
                path.insert(0, "self".to_owned());
            }
        }
        // What is defined inside an inline module is private to the file.
        source.imports.push(Import { path, is_public, name });
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::`, and single characters. Comments, strings and numbers are left out.
fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let is = |at: usize, what: &str| {
        what.chars().enumerate().all(|(index, wanted)| text.get(at + index) == Some(&wanted))
    };
    while let Some(&first) = text.get(at) {
        if is(at, "//") {
            while text.get(at).is_some_and(|next| *next != '\n') {
                at += 1;
            }
        } else if is(at, "/*") {
            at = behind(&text, at + 2, "*/");
        } else if let Some(hashes) = raw_string(&text, at) {
            let begin = at + 1 + usize::from(text[at] == 'b') + hashes + 1;
            at = behind(&text, begin, &format!("\"{}", "#".repeat(hashes)));
        } else if first == '"' || is(at, "b\"") {
            at = behind_string(&text, at + 1 + usize::from(first == 'b'));
        } else if first == '\'' {
            at = behind_character(&text, at);
        } else if is(at, "::") {
            tokens.push("::".to_owned());
            at += 2;
        } else if first.is_alphanumeric() || first == '_' {
            let end = text[at..].iter().position(|next| !next.is_alphanumeric() && *next != '_');
            let end = end.map_or(text.len(), |length| at + length);
            let word: String = text[at..end].iter().collect();
            at = end;
            // A raw identifier, such as `r#final`.
            if word == "r" && is(at, "#") {
                at += 1;
            } else if !first.is_numeric() {
                tokens.push(word);
            }
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// How many `#` a raw string that begins here has.
fn raw_string(text: &[char], at: usize) -> Option<usize> {
    let at = if text[at] == 'b' { at + 1 } else { at };
    let before = at.checked_sub(1).map(|before| text[before]);
    if text.get(at) != Some(&'r') || before.is_some_and(|it| it.is_alphanumeric() && it != 'b') {
        return None;
    }
    let hashes = text[at + 1..].iter().take_while(|next| **next == '#').count();
    (text.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn behind(text: &[char], from: usize, end: &str) -> usize {
    let end: Vec<char> = end.chars().collect();
    let found = text[from..].windows(end.len()).position(|window| window == end);
    found.map_or(text.len(), |position| from + position + end.len())
}

fn behind_string(text: &[char], from: usize) -> usize {
    let mut at = from;
    while let Some(next) = text.get(at) {
        match next {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Behind `'x'` or `'\n'`; of a lifetime, behind the apostrophe.
fn behind_character(text: &[char], at: usize) -> usize {
    match (text.get(at + 1), text.get(at + 2)) {
        (Some('\\'), _) => behind(text, at + 3, "'"),
        (Some(_), Some('\'')) => at + 3,
        (_, _) => at + 1,
    }
}
