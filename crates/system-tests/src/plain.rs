//! A browser without scripts: it opens pages, follows links and redirects, and submits forms.

use scraper::{ElementRef, Html, Selector};
use testkit::{Client, Method, Response};
use url::form_urlencoded;
use uuid::Uuid;

/// More redirects than any page needs.
const MAX_REDIRECTS: usize = 5;

/// A browser with a cookie jar.
#[derive(Clone)]
pub struct PlainBrowser {
    pub client: Client,
}

/// A page as it was received.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path and query, after redirects.
    pub address: String,
    pub answer: Response,
}

/// A form of a page, with its values.
#[derive(Clone, Debug)]
pub struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl PlainBrowser {
    pub fn new(url: &str) -> Self {
        PlainBrowser { client: Client::with_cookie_jar(url) }
    }

    /// Opens a page, and follows redirects.
    pub async fn opens(&self, address: &str) -> Page {
        let answer = self.client.request(Method::GET, address).header("accept", "text/html");
        self.follows(address, answer.send().await).await
    }

    /// Submits a form, and follows redirects.
    pub async fn sends(&self, form: &Form) -> Page {
        let answer = self.posts(form).await;
        self.follows(&form.action, answer).await
    }

    /// Submits a form, and returns the response as it is.
    pub async fn posts(&self, form: &Form) -> Response {
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        let request = self.client.request(Method::POST, &form.action);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("sec-fetch-site", "same-origin").body(body).send().await
    }

    async fn follows(&self, address: &str, answer: Response) -> Page {
        let mut page = Page { address: address.to_owned(), answer };
        for _ in 0..MAX_REDIRECTS {
            let Some(next) = page.answer.header("location").map(str::to_owned) else { break };
            assert!(next.starts_with('/'), "{address} redirects to another site: {next}");
            page.answer = self.client.get(&next).await;
            page.address = next;
        }
        page
    }

    /// Signs up with the page's form, and returns the email address.
    pub async fn signs_up(&self, name: &str) -> String {
        let email = format!("person-{}@example.com", Uuid::now_v7());
        let form = self.opens("/auth/signup").await.form("/auth/signup");
        let form = form.with("email", &email).with("password", "correct horse").with("name", name);
        let page = self.sends(&form).await;
        page.expect(200);
        email
    }

    /// Lists a ticket with the page's form, and returns the path of its page.
    pub async fn lists(&self, title: &str, price: &str) -> String {
        let form = self.opens("/tickets/new").await.form("/tickets/new");
        let form = form.with("title", title).with("price", price).with("venue", "Opera");
        let page = self.sends(&form).await;
        page.expect(200).path().to_owned()
    }

    /// Lists several tickets of a kind with the page's form, and returns the path of its page.
    pub async fn lists_many(&self, title: &str, price: &str, quantity: u16, most: u16) -> String {
        let form = self.opens("/tickets/new").await.form("/tickets/new");
        let form = form.with("title", title).with("price", price).with("venue", "Opera");
        let form = form.with("quantity", &quantity.to_string());
        let page = self.sends(&form.with("max_per_order", &most.to_string())).await;
        page.expect(200).path().to_owned()
    }

    /// Reserves several tickets with the page's form, and returns the order's page.
    pub async fn buys_many(&self, ticket: &str, quantity: u16) -> Page {
        let form = self.opens(ticket).await.form(ticket).with("quantity", &quantity.to_string());
        self.sends(&form).await
    }

    /// Reserves a ticket with its page's form, and returns the order's page.
    pub async fn buys(&self, ticket: &str) -> Page {
        let form = self.opens(ticket).await.form(ticket);
        self.sends(&form).await
    }

    /// Pays with the order's form and a test card.
    pub async fn pays(&self, order: &str, token: &str) -> Page {
        let form = self.opens(order).await.form(&format!("{order}/pay"));
        self.sends(&form.with("token", token)).await
    }
}

impl Page {
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Page {
        assert_eq!(self.answer.status.as_u16(), status, "{}: {}", self.address, self.answer.text);
        self
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.address.split('?').next().unwrap_or_default()
    }

    /// Whether the page has a visible part with this `data-test` name.
    pub fn has(&self, name: &str) -> bool {
        !self.texts(&marked(name)).is_empty()
    }

    /// The text of the one part with this `data-test` name.
    #[track_caller]
    pub fn part(&self, name: &str) -> String {
        self.text(&marked(name))
    }

    /// Fails with the page's text if it doesn't have this part.
    #[track_caller]
    pub fn expect_part(&self, name: &str) -> &Page {
        assert!(self.has(name), "no {name} on {}: {}", self.address, self.answer.text);
        self
    }

    /// The texts of all elements that the selector finds, with whitespace collapsed.
    pub fn texts(&self, css: &str) -> Vec<String> {
        self.each(css, |element| collapse(&element.text().collect::<String>()))
    }

    /// The text of the only element that the selector finds.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        let texts = self.texts(css);
        assert_eq!(texts.len(), 1, "{css} on {}: {texts:?}", self.address);
        texts.into_iter().next().unwrap_or_default()
    }

    /// The text of the page's main part.
    #[track_caller]
    pub fn main(&self) -> String {
        self.text("main")
    }

    /// An attribute of all elements that the selector finds.
    pub fn attributes(&self, css: &str, name: &str) -> Vec<String> {
        let of = |element: ElementRef| element.value().attr(name).map(str::to_owned);
        self.each(css, of).into_iter().flatten().collect()
    }

    /// The form with this action.
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        let css = format!("form[action='{action}']");
        let forms =
            self.each(&css, |form| Form { action: action.to_owned(), fields: fields(form) });
        assert_eq!(forms.len(), 1, "{css} on {}: {}", self.address, self.answer.text);
        forms.into_iter().next().expect("one form")
    }

    /// The only form with this action whose field has this value.
    #[track_caller]
    pub fn form_with(&self, action: &str, name: &str, value: &str) -> Form {
        let css = format!("form[action='{action}']");
        let forms =
            self.each(&css, |form| Form { action: action.to_owned(), fields: fields(form) });
        let mut forms: Vec<_> =
            forms.into_iter().filter(|form| form.value(name) == Some(value)).collect();
        assert_eq!(forms.len(), 1, "{css} with {name}={value} on {}", self.address);
        forms.remove(0)
    }

    fn each<T>(&self, css: &str, of: impl Fn(ElementRef) -> T) -> Vec<T> {
        let selector = Selector::parse(css).expect("a selector");
        Html::parse_document(&self.answer.text).select(&selector).map(of).collect()
    }
}

impl Form {
    /// The form with another value in a field, which must exist.
    #[track_caller]
    pub fn with(&self, name: &str, value: &str) -> Form {
        let mut form = self.clone();
        let field = form.fields.iter_mut().find(|(field, _)| field == name);
        let field = field.unwrap_or_else(|| panic!("no field {name} in {:?}", self.fields));
        value.clone_into(&mut field.1);
        form
    }

    /// The form with this box ticked.
    #[must_use]
    pub fn ticked(&self, name: &str, value: &str) -> Form {
        let mut form = self.clone();
        form.fields.push((name.to_owned(), value.to_owned()));
        form
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }
}

/// The fields that a browser would submit.
fn fields(form: ElementRef) -> Vec<(String, String)> {
    let selector = Selector::parse("input, textarea, select").expect("a selector");
    let mut fields: Vec<(String, String)> = Vec::new();
    for field in form.select(&selector) {
        let element = field.value();
        let Some(name) = element.attr("name").map(str::to_owned) else { continue };
        let value = element.attr("value").unwrap_or_default().to_owned();
        match (element.name(), element.attr("type")) {
            ("input", Some("radio" | "checkbox")) if element.attr("checked").is_none() => {}
            ("input", _) => fields.push((name, value)),
            // HTML drops the first line break after the tag.
            ("textarea", _) => fields.push((name, field.text().collect())),
            _ => fields.push((name, chosen(field))),
        }
    }
    fields
}

fn chosen(select: ElementRef) -> String {
    let option = |css| {
        let selector = Selector::parse(css).expect("a selector");
        let option = select.select(&selector).next()?;
        let text = || collapse(&option.text().collect::<String>());
        Some(option.value().attr("value").map_or_else(text, str::to_owned))
    };
    option("option[selected]").or_else(|| option("option")).unwrap_or_default()
}

/// The selector of a part by its `data-test` name.
fn marked(name: &str) -> String {
    format!("[data-test~='{name}']")
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
