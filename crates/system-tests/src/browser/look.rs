//! Screens and colour schemes to view pages in, and screenshots.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Browser;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// The narrowest supported screen.
    Narrow,
    Phone,
    #[default]
    Wide,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Light,
    Dark,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub screen: Screen,
    pub scheme: Scheme,
}

impl Look {
    /// The looks of screenshots.
    pub const ALL: [Look; 4] = [
        Look { screen: Screen::Phone, scheme: Scheme::Light },
        Look { screen: Screen::Phone, scheme: Scheme::Dark },
        Look { screen: Screen::Wide, scheme: Scheme::Light },
        Look { screen: Screen::Wide, scheme: Scheme::Dark },
    ];

    /// As in the name of a screenshot.
    pub fn name(self) -> &'static str {
        match (self.screen, self.scheme) {
            (Screen::Narrow, Scheme::Light) => "narrow-light",
            (Screen::Narrow, Scheme::Dark) => "narrow-dark",
            (Screen::Phone, Scheme::Light) => "phone-light",
            (Screen::Phone, Scheme::Dark) => "phone-dark",
            (Screen::Wide, Scheme::Light) => "wide-light",
            (Screen::Wide, Scheme::Dark) => "wide-dark",
        }
    }
}

/// The folder of screenshots: `target/screenshots`.
pub fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screenshots")
}

impl Browser {
    /// Sets the look of all further pages, with reduced motion.
    pub async fn looks(&self, look: Look) {
        let (width, height, is_phone) = match look.screen {
            Screen::Narrow => (320, 640, true),
            Screen::Phone => (390, 844, true),
            Screen::Wide => (1280, 900, false),
        };
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": if is_phone { 2 } else { 1 }, "mobile": is_phone,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
        let scheme = match look.scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    }

    /// Lets the browser be in this time zone from here on.
    pub async fn is_in_time_zone(&self, zone: &str) {
        self.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await;
    }

    /// By how many pixels the page is wider than the screen.
    pub async fn overflow(&self) -> i64 {
        let script =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.evaluate(script).await.as_i64().expect("a number of pixels")
    }

    /// Takes a screenshot of the whole page.
    pub async fn photograph(&self, file: &Path) {
        let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let page = &metrics["cssContentSize"];
        let clip =
            json!({ "x": 0, "y": 0, "width": page["width"], "height": page["height"], "scale": 1 });
        self.capture(file, json!({ "captureBeyondViewport": true, "clip": clip })).await;
    }

    /// Takes a screenshot of the visible part.
    pub async fn photograph_screen(&self, file: &Path) {
        self.capture(file, json!({})).await;
    }

    async fn capture(&self, file: &Path, how: serde_json::Value) {
        let screenshot = self.devtools("Page.captureScreenshot", how).await;
        let screenshot =
            STANDARD.decode(screenshot["data"].as_str().expect("a screenshot")).expect("base64");
        std::fs::create_dir_all(file.parent().expect("a folder"))
            .expect("the folder of screenshots");
        std::fs::write(file, screenshot).expect("the screenshot is written");
    }
}
