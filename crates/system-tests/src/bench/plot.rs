//! Plots, as SVG.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use plotters::prelude::*;

use super::rush::{Event, Outcome};

const SIZE: (u32, u32) = (900, 420);

/// What happened in each second of a rush.
pub fn rush(outcome: &Outcome, file: &Path) -> Result<()> {
    let lines = [
        (Event::Reserved, "reserved", RGBColor(37, 99, 235)),
        (Event::Paid, "paid", RGBColor(21, 128, 61)),
        (Event::Refused, "refused: all is sold", RGBColor(120, 113, 108)),
        (Event::Shed, "asked to try again later", RGBColor(217, 119, 6)),
        (Event::Failed, "failed", RGBColor(190, 18, 60)),
    ];
    let last = outcome.events.iter().map(|(at, _)| at.as_secs()).max().unwrap_or_default();
    let per_second = |event: Event| -> Vec<(f64, f64)> {
        let count = |second: u64| {
            let is_of = |at: Duration| at.as_secs() == second;
            outcome.events.iter().filter(|(at, it)| *it == event && is_of(*at)).count() as f64
        };
        (0..=last).map(|second| (second as f64, count(second))).collect()
    };
    let lines = lines.map(|(event, name, colour)| (per_second(event), name, colour));
    let most = lines.iter().flat_map(|(points, ..)| points).map(|(_, y)| *y).fold(1.0, f64::max);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    let drawn = || -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..last as f64, 0.0..most * 1.05)?;
        chart
            .configure_mesh()
            .x_desc("seconds")
            .y_desc("in a second")
            .light_line_style(WHITE)
            .draw()?;
        for (points, name, colour) in lines {
            let style = ShapeStyle::from(&colour).stroke_width(2);
            let series = chart.draw_series(LineSeries::new(points, style))?.label(name);
            series.legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        area.present()
    };
    drawn().map_err(|error| anyhow!("{}: {error}", file.display()))
}
