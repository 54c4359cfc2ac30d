//! What was measured, as a table: medians, and how the versions compare.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

/// A measured value.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it belongs to, such as `GET /api/tickets/{id}`.
    pub subject: String,
    /// Such as `p99`.
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub better: Better,
}

impl Figure {
    pub fn new(subject: &str, name: &str, value: f64, unit: &'static str, better: Better) -> Self {
        Figure { subject: subject.to_owned(), name: name.to_owned(), value, unit, better }
    }

    pub fn seconds(subject: &str, name: &str, time: Duration) -> Self {
        Self::new(subject, name, time.as_secs_f64(), "s", Better::Lower)
    }

    pub fn millis(subject: &str, name: &str, time: Duration) -> Self {
        Self::new(subject, name, time.as_secs_f64() * 1000.0, "ms", Better::Lower)
    }

    pub fn rate(subject: &str, name: &str, value: f64, unit: &'static str) -> Self {
        Self::new(subject, name, value, unit, Better::Higher)
    }

    pub fn count(subject: &str, name: &str, value: f64) -> Self {
        Self::new(subject, name, value, "", Better::Lower)
    }
}

/// CPU time in all, and of each process that has used some.
pub fn cpu(subject: &str, times: &BTreeMap<String, Duration>) -> Vec<Figure> {
    const NOTICEABLE: Duration = Duration::from_micros(1);
    let total = times.values().sum();
    let mut figures = vec![Figure::millis(subject, "CPU", total)];
    for (process, time) in times.iter().filter(|(_, time)| **time >= NOTICEABLE) {
        figures.push(Figure::millis(subject, &format!("CPU of {process}"), *time));
    }
    figures
}

/// The figures of all rounds, of one version or several.
pub struct Table {
    versions: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    subject: String,
    name: String,
    unit: &'static str,
    better: Better,
    /// Of each version, in each round.
    values: Vec<Vec<f64>>,
}

impl Table {
    pub fn new(versions: Vec<String>) -> Self {
        Table { versions, rows: Vec::new() }
    }

    pub fn add(&mut self, version: usize, figure: Figure) {
        let Figure { subject, name, value, unit, better } = figure;
        let known = self.rows.iter_mut().position(|row| row.subject == subject && row.name == name);
        let index = known.unwrap_or_else(|| {
            let values = vec![Vec::new(); self.versions.len()];
            self.rows.push(Row { subject, name, unit, better, values });
            self.rows.len() - 1
        });
        self.rows[index].values[version].push(value);
    }
}

/// As Markdown. With two versions, the last column says how many times better the last one is than the first one.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compares = self.versions.len() > 1;
        write!(f, "| of | figure |")?;
        for version in &self.versions {
            write!(f, " {version} | min … max |")?;
        }
        writeln!(f, "{}", if compares { " better by |" } else { "" })?;
        let columns = 2 + 2 * self.versions.len() + usize::from(compares);
        writeln!(f, "|{}", "---|".repeat(columns))?;
        let mut subject = "";
        for row in &self.rows {
            let repeated = row.subject == subject;
            write!(f, "| {} | {} |", if repeated { "" } else { &row.subject }, row.name)?;
            subject = &row.subject;
            for values in &row.values {
                match Spread::of(values) {
                    Some(Spread { min, median, max }) => {
                        write!(f, " {} |", with_unit(median, row.unit))?;
                        write!(f, " {} … {} |", number(min), number(max))?;
                    }
                    None => write!(f, " – | – |")?,
                }
            }
            if compares {
                let medians =
                    row.values.iter().map(|values| Spread::of(values).map(|it| it.median));
                let ratio = match medians.collect::<Option<Vec<_>>>().as_deref() {
                    Some([before, .., after]) => row.better.ratio(*before, *after),
                    _ => "–".to_owned(),
                };
                write!(f, " {ratio} |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Better {
    fn ratio(self, before: f64, after: f64) -> String {
        let (over, under) = match self {
            Better::Higher => (after, before),
            Better::Lower => (before, after),
        };
        if under == 0.0 { "–".to_owned() } else { format!("{:.2}×", over / under) }
    }
}

struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => return None,
            even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Spread { min: sorted[0], median, max: sorted[sorted.len() - 1] })
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    format!("{} {unit}", number(value)).trim_end().to_owned()
}

/// Three significant digits; whole numbers as they are, with thousands apart.
fn number(value: f64) -> String {
    let size = value.abs();
    if size < 100.0 && value.fract() != 0.0 {
        let decimals = if size < 1.0 {
            3
        } else if size < 10.0 {
            2
        } else {
            1
        };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
