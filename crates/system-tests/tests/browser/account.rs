//! The whole life of an account, from its sign-up to its last sign-out, with scripts and without.

use system_tests::{Stack, link_in};

use crate::inspection::Inspection;
use crate::people::{GOOD_CARD, PASSWORD, Visitor, member, title, visitor};
use crate::shared::{Scripts, with_verified_emails};

const SECOND_PASSWORD: &str = "battery staple";
const THIRD_PASSWORD: &str = "purple elephant";

impl Visitor {
    /// Opens the link to a page in the mail of this subject.
    async fn opens_mail(&self, stack: &Stack, to: &str, subject: &str, page: &str) {
        let mail = stack.mail(to, subject, 1).await;
        self.browser.visit(&link_in(&mail, page)).await;
    }

    async fn confirms_address(&self, stack: &Stack) {
        self.opens_mail(stack, &self.email, "Welcome to Ticketing", "/verify").await;
        self.browser.press("confirm-email").await;
        self.browser.shows("notice-email-confirmed").await;
    }
}

#[tokio::test]
async fn the_whole_life_of_an_account() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = with_verified_emails().await;
        let mut inspection = Inspection::default();
        let seller = member(stack, "seller", Scripts::Off).await;
        seller.confirms_address(stack).await;
        let ticket = seller.lists(&title("Idomeneo"), "20").await;

        let person = member(stack, "person", scripts).await;
        let browser = &person.browser;
        let pictures = scripts == Scripts::On;
        let mut inspect = async |name: &str| {
            if pictures {
                inspection.page(browser, name).await;
            }
        };
        // Nothing is bought before the address is confirmed.
        browser.visit(&ticket).await;
        browser.press("buy").await;
        browser.shows("notice-verify-to-buy").await;
        inspect("account-unconfirmed").await;
        person.opens_mail(stack, &person.email, "Welcome to Ticketing", "/verify").await;
        inspect("verify").await;
        browser.press("confirm-email").await;
        browser.shows("notice-email-confirmed").await;
        person.reserves(&ticket).await;
        person.pays_with(GOOD_CARD).await;
        browser.shows("order-paid").await;

        browser.visit("/account").await;
        browser.fill("name", "Ada Lovelace").await;
        browser.fill("phone", "call me").await;
        browser.press("save-profile").await;
        browser.shows("form-errors").await;
        inspect("account-refused").await;
        browser.fill("phone", "+420 777 123 456").await;
        browser.press("save-profile").await;
        browser.shows("notice-profile-saved").await;
        inspect("account-profile").await;

        let other = visitor(stack, "person", Scripts::Off).await;
        signs_in(&other, &person.email, PASSWORD).await;
        browser.follow("to-password").await;
        inspect("account-password").await;
        if pictures {
            browser.fill("password", "shown").await;
            browser.press("show-password").await;
            assert_eq!(
                browser.evaluate("return document.getElementById('password').type").await,
                "text"
            );
        }
        browser.fill("current_password", "wrong").await;
        browser.fill("password", SECOND_PASSWORD).await;
        browser.press("change-password").await;
        browser.shows("form-errors").await;
        inspect("account-password-refused").await;
        browser.fill("current_password", PASSWORD).await;
        browser.fill("password", SECOND_PASSWORD).await;
        browser.press("change-password").await;
        browser.shows("notice-password-changed").await;
        other.browser.visit("/account").await;
        other.browser.arrives_at("/auth/signin").await;

        let new = format!("new-{}", person.email);
        browser.follow("to-email").await;
        inspect("account-email").await;
        browser.fill("email", &new).await;
        browser.fill("current_password", SECOND_PASSWORD).await;
        browser.press("change-email").await;
        browser.shows("pending-email").await;
        inspect("account-email-pending").await;
        stack.mail(&person.email, "Your email address is about to change", 1).await;
        person.opens_mail(stack, &new, "Confirm your new email address", "/verify").await;
        browser.press("confirm-email").await;
        browser.shows("notice-email-confirmed").await;
        browser.sees(&new).await;

        browser.follow("sign-out").await;
        browser.press("sign-out").await;
        browser.shows("notice-signed-out").await;
        browser.visit("/auth/signin").await;
        browser.follow("forgot-password").await;
        inspect("recover").await;
        browser.fill("email", &new).await;
        browser.press("send-recovery").await;
        browser.shows("notice-recovery-sent").await;
        inspect("recover-sent").await;
        person.opens_mail(stack, &new, "Choose a new password", "/recover/new").await;
        inspect("recover-new").await;
        browser.fill("password", THIRD_PASSWORD).await;
        browser.press("choose-password").await;
        browser.shows("notice-password-replaced").await;
        // The link was used.
        person.opens_mail(stack, &new, "Choose a new password", "/recover/new").await;
        browser.fill("password", THIRD_PASSWORD).await;
        browser.press("choose-password").await;
        browser.shows("form-errors").await;
        inspect("recover-new-refused").await;

        browser.visit("/auth/signout").await;
        browser.press("sign-out").await;
        browser.shows("notice-signed-out").await;
        signs_in(&person, &new, THIRD_PASSWORD).await;
        browser.visit("/orders").await;
        browser.sees("Idomeneo").await;
        inspection.passes();
    }
}

async fn signs_in(visitor: &Visitor, email: &str, password: &str) {
    visitor.browser.visit("/auth/signin").await;
    visitor.browser.fill("email", email).await;
    visitor.browser.fill("password", password).await;
    visitor.browser.press("sign-in").await;
    visitor.browser.arrives_at("/").await;
}

#[tokio::test]
async fn somebody_elses_sign_up_is_undone_by_the_owner_of_the_address() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = with_verified_emails().await;
        let stranger = member(stack, "stranger", Scripts::Off).await;
        let owner = visitor(stack, "owner", scripts).await;
        owner.opens_mail(stack, &stranger.email, "Welcome to Ticketing", "/disown").await;
        let mut inspection = Inspection::default();
        if scripts == Scripts::On {
            inspection.page(&owner.browser, "disown").await;
        }
        owner.browser.press("disown").await;
        owner.browser.shows("notice-disowned").await;
        stranger.browser.visit("/account").await;
        stranger.browser.arrives_at("/auth/signin").await;
        inspection.passes();
    }
}
