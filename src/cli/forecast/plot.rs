//! The past of a series as a line and its outlook as a band, drawn with characters.

use std::fmt::Write as _;

use crate::domain::outlook::Outlook;
use crate::domain::series::Series;

/// Rows of the plot.
const HEIGHT: usize = 14;
/// Columns left of the plot: the scale.
const MARGIN: usize = 9;
/// Columns where the terminal does not tell, and the most that are used.
const USUAL_COLUMNS: usize = 80;
const MOST_COLUMNS: usize = 140;
/// How much longer than the outlook the past is drawn.
const PAST_PARTS: usize = 4;

/// What the output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Columns.
    pub columns: usize,
    /// Block characters; plain ones otherwise.
    pub blocks: bool,
    /// Colours.
    pub colours: bool,
}

impl Look {
    /// That of the present output: a file or a pipe gets plain characters, `NO_COLOR` is heeded.
    pub fn of_terminal(is_terminal: bool) -> Self {
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL_COLUMNS);
        let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { columns: columns.clamp(40, MOST_COLUMNS), blocks: is_terminal, colours }
    }
}

/// What stands in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Empty,
    Past,
    /// Between the 5 % and the 95 % quantile.
    Band,
    /// Between the quartiles.
    Middle,
    Median,
    Now,
}

impl Cell {
    fn plain(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::Past => '*',
            Self::Band => '.',
            Self::Middle => ':',
            Self::Median => '=',
            Self::Now => '|',
        }
    }

    fn block(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::Past => '•',
            Self::Band => '░',
            Self::Middle => '▒',
            Self::Median => '━',
            Self::Now => '┊',
        }
    }

    /// The colour's number of ANSI.
    fn colour(self) -> Option<u8> {
        match self {
            Self::Empty => None,
            Self::Past => Some(36),
            Self::Band | Self::Middle => Some(33),
            Self::Median => Some(93),
            Self::Now => Some(90),
        }
    }
}

/// Draws the last hours of `series` and `minutes` of `outlook`.
pub(super) fn plot(series: &Series, outlook: &Outlook, minutes: usize, look: Look) -> String {
    let width = look.columns - MARGIN;
    let future = (width / (PAST_PARTS + 1)).max(1);
    let past = width - future - 1;
    let seconds_a_column = 60.0 * minutes as f64 / future as f64;
    let made = outlook.made.as_second();
    let line: Vec<Option<f64>> =
        (0..past).map(|column| value_at(series, made - ((past - 1 - column) as f64 * seconds_a_column) as i64)).collect();
    let band: Vec<[f64; 5]> = (1..=future)
        .map(|column| {
            let minute = column * minutes / future;
            [0.05, 0.25, 0.5, 0.75, 0.95].map(|level| outlook.quantile(minute, level))
        })
        .collect();
    let top = line.iter().flatten().copied().chain(band.iter().map(|row| row[4])).fold(0.0, f64::max);
    let top = round_up(top);
    let row_of = |value: f64| HEIGHT - 1 - ((value / top * (HEIGHT - 1) as f64).round() as usize).min(HEIGHT - 1);
    let mut cells = vec![vec![Cell::Empty; width]; HEIGHT];
    let mut before = None;
    for (column, value) in line.iter().enumerate() {
        let row = value.map(row_of);
        if let Some(row) = row {
            // Steep stretches are drawn through, so that a line stays a line.
            let from = before.unwrap_or(row);
            let passed = from.min(row)..=from.max(row);
            for (_, line) in
                cells.iter_mut().enumerate().filter(|(between, _)| passed.contains(between) && (*between != from || from == row))
            {
                line[column] = Cell::Past;
            }
        }
        before = row;
    }
    for row in &mut cells {
        row[past] = Cell::Now;
    }
    for (column, [low, quarter, median, three, high]) in band.into_iter().enumerate() {
        for (from, to, cell) in [(low, high, Cell::Band), (quarter, three, Cell::Middle), (median, median, Cell::Median)] {
            for row in &mut cells[row_of(to)..=row_of(from)] {
                row[past + 1 + column] = cell;
            }
        }
    }
    drawn(&cells, top, look) + &axis(past, minutes, seconds_a_column, look)
}

/// The sample that holds an instant.
fn value_at(series: &Series, at: i64) -> Option<f64> {
    let step = i64::from(series.step_s.max(1));
    let index = usize::try_from((at - series.start.as_second() + step - 1).div_euclid(step)).ok()?;
    series.values.get(index).filter(|value| value.is_finite()).map(|value| f64::from(*value))
}

/// The next number above that is easily read: 1, 1.5, 2, 3, 4, 5, 6 or 8 of a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|round| *round >= value).unwrap_or(10.0 * power)
}

fn drawn(cells: &[Vec<Cell>], top: f64, look: Look) -> String {
    let mut out = String::new();
    for (index, row) in cells.iter().enumerate() {
        let labelled = index == 0 || index == HEIGHT - 1 || index == HEIGHT / 2;
        let label = if labelled { short(top * (HEIGHT - 1 - index) as f64 / (HEIGHT - 1) as f64) } else { String::new() };
        let (edge, bar) = if look.blocks { ('┤', '│') } else { ('+', '|') };
        let _ = write!(out, "{label:>width$} {}", if labelled { edge } else { bar }, width = MARGIN - 2);
        let length = row.iter().rposition(|cell| *cell != Cell::Empty).map_or(0, |last| last + 1);
        for run in row[..length].chunk_by(|a, b| a.colour() == b.colour()) {
            let text: String = run.iter().map(|cell| if look.blocks { cell.block() } else { cell.plain() }).collect();
            match run[0].colour().filter(|_| look.colours) {
                Some(colour) => {
                    let _ = write!(out, "\u{1b}[{colour}m{text}\u{1b}[0m");
                }
                None => out.push_str(&text),
            }
        }
        out.push('\n');
    }
    out
}

/// How long ago the line begins, where now is, and how far the band reaches; then what the signs mean.
fn axis(past: usize, minutes: usize, seconds_a_column: f64, look: Look) -> String {
    let ago = format!("-{}", hours((past as f64 * seconds_a_column / 60.0).round() as usize));
    let ahead = format!("+{}", hours(minutes));
    let sign = |cell: Cell| if look.blocks { cell.block() } else { cell.plain() };
    let now = past.saturating_sub(ago.len() + 1);
    let rest = look.columns.saturating_sub(MARGIN + ago.len() + now + "now".len());
    format!(
        "{:MARGIN$}{ago}{:>now$}now{ahead:>rest$}\n{:MARGIN$}{} seen   {} median   {} 25 to 75 %   {} 5 to 95 %\n\n",
        "",
        "",
        "",
        sign(Cell::Past),
        sign(Cell::Median),
        sign(Cell::Middle),
        sign(Cell::Band),
    )
}

fn hours(minutes: usize) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    }
}

/// A number with four digits that count.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{value:.2e}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 || v == 0.0 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::outlook::ForecastQuality;

    fn drawing(look: Look) -> String {
        let made = Timestamp::from_second(36_000).unwrap();
        let values = (0..=120u16).map(|i| if i == 100 { f32::NAN } else { 60.0 + f32::from(i) / 4.0 }).collect();
        let series = Series { start: Timestamp::UNIX_EPOCH, step_s: 300, values };
        let rows = (0..=60u8).map(|m| [40.0, 70.0, 90.0, 100.0, 110.0, 120.0, 130.0].map(|v: f32| v + f32::from(m) / 4.0)).collect();
        plot(&series, &Outlook::new(made, "level", rows, ForecastQuality::default()), 30, look)
    }

    #[test]
    fn it_shows_line_band_and_median_within_its_columns() {
        for look in [Look { columns: 80, blocks: true, colours: false }, Look { columns: 60, blocks: false, colours: false }] {
            let drawn = drawing(look);
            assert!(drawn.lines().all(|line| line.chars().count() <= look.columns), "{drawn}");
            let signs = if look.blocks { ['•', '━', '▒', '░', '┊'] } else { ['*', '=', ':', '.', '|'] };
            let body: String = drawn.lines().take(HEIGHT).collect();
            assert!(signs.iter().all(|sign| body.contains(*sign)), "{drawn}");
            assert!(drawn.contains("now") && drawn.contains("+30m"), "{drawn}");
        }
    }

    #[test]
    fn a_pipe_gets_plain_text() {
        let drawn = drawing(Look { columns: 80, blocks: false, colours: false });
        assert!(drawn.is_ascii() && !drawn.contains('\u{1b}'), "{drawn}");
        assert!(drawing(Look { columns: 80, blocks: true, colours: true }).contains("\u{1b}[36m"));
    }

    #[test]
    fn scales_end_on_round_numbers() {
        assert_eq!([0.0, 0.7, 97.0, 1201.0].map(round_up), [1.0, 0.8, 100.0, 1500.0]);
    }
}
