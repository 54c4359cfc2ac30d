//! The inspection of a page: accessible and not wider than the screen, in light and dark, on phone and wide screens.

use system_tests::Browser;
use system_tests::browser::{Look, Scheme, Screen, screenshots};

/// Collects the faults of several pages, and reports them together.
#[derive(Default)]
pub struct Inspection {
    faults: Vec<String>,
}

impl Inspection {
    /// Inspects the current page, and leaves screenshots in `target/screenshots`.
    pub async fn page(&mut self, browser: &Browser, name: &str) {
        browser.has_clean_console().await;
        for look in Look::ALL {
            browser.looks(look).await;
            for violation in browser.accessibility_violations().await {
                self.faults.push(format!("{name}, {}: {violation}", look.name()));
            }
            self.fits(browser, name, look).await;
            browser.photograph(&screenshots().join(format!("{name}-{}.png", look.name()))).await;
        }
        // A wide screen at 400 % zoom (WCAG 1.4.10).
        let narrow = Look { screen: Screen::Narrow, scheme: Scheme::Light };
        browser.looks(narrow).await;
        self.fits(browser, name, narrow).await;
        browser.looks(Look::default()).await;
    }

    async fn fits(&mut self, browser: &Browser, name: &str, look: Look) {
        let overflow = browser.overflow().await;
        if overflow > 0 {
            self.faults
                .push(format!("{name}, {}: {overflow} pixels wider than the screen", look.name()));
        }
    }

    pub fn passes(self) {
        assert!(
            self.faults.is_empty(),
            "{} faults:\n{}",
            self.faults.len(),
            self.faults.join("\n")
        );
    }
}
