//! Tabs of one browser, which share its session: steps apply to one of them.

use fantoccini::wd::WindowHandle;

use super::Browser;

/// A tab that can be returned to.
pub struct Tab(WindowHandle);

impl Browser {
    /// The present tab.
    pub async fn tab(&self) -> Tab {
        Tab(self.session.window().await.expect("there is a tab"))
    }

    /// Opens another tab at this path, and continues in it.
    pub async fn opens_tab(&self, path: &str) -> Tab {
        let opened = self.session.new_window(true).await.expect("another tab");
        let tab = Tab(opened.handle);
        self.switches_to(&tab).await;
        self.visit(path).await;
        tab
    }

    /// Continues in this tab.
    pub async fn switches_to(&self, tab: &Tab) {
        self.session.switch_to_window(tab.0.clone()).await.expect("the tab is open");
    }
}
