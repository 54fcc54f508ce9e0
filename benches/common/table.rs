//! A Markdown table, so that the output can be pasted into a document.

use std::time::Duration;

/// A table with these column heads; the first column holds the names of the rows.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(str::to_owned).into()] }
    }

    /// Adds a row. `None` stands for a figure that could not be measured.
    pub fn row(&mut self, name: &str, figures: impl IntoIterator<Item = Option<String>>) {
        let figures = figures.into_iter().map(|figure| figure.unwrap_or_else(|| "–".to_owned()));
        self.rows.push([name.to_owned()].into_iter().chain(figures).collect());
    }

    #[expect(clippy::print_stdout, reason = "the table is the benchmark's output")]
    pub fn print(&self) {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().enumerate().map(|(column, cell)| match column {
                0 => format!("{cell:<width$}", width = width(column)),
                _ => format!("{cell:>width$}", width = width(column)),
            });
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
            if number == 0 {
                let rules = (0..row.len()).map(|column| match column {
                    0 => "-".repeat(width(column) + 2),
                    _ => format!("{}:", "-".repeat(width(column) + 1)),
                });
                println!("|{}|", rules.collect::<Vec<_>>().join("|"));
            }
        }
        println!();
    }
}

/// Formats a number with three significant digits.
pub fn number(value: f64) -> Option<String> {
    Some(match value {
        _ if !value.is_finite() => return None,
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    })
}

/// The median; NaN for an empty list.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value that the fraction `part` of all values does not exceed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a position in a list"
)]
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = (sorted.len() as f64 * part) as usize;
    sorted.get(position.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A count as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "numbers are far below 2^52")]
pub fn count(number: usize) -> f64 {
    number as f64
}
