//! What every page must be, whatever it shows: open to everybody, light and dark, on a phone and on a wide screen.

use system_tests::Browser;
use system_tests::browser::{Look, Scheme, Screen, screenshots};

/// Pages that are looked at one after the other. What is wrong with any of them is told at the end, all together.
#[derive(Default)]
pub struct Inspection {
    faults: Vec<String>,
}

impl Inspection {
    /// Looks at the page that a browser shows, and leaves pictures of it in `target/screenshots`.
    pub async fn page(&mut self, browser: &Browser, name: &str) {
        browser.has_no_complaints().await;
        for look in Look::ALL {
            browser.looks(look).await;
            for violation in browser.accessibility_violations().await {
                self.faults.push(format!("{name}, {}: {violation}", look.name()));
            }
            self.fits(browser, name, look).await;
            browser.photograph(&screenshots().join(format!("{name}-{}.png", look.name()))).await;
        }
        // As wide as a wide screen is for those who enlarge it fourfold.
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
