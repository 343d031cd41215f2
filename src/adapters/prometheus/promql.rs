//! `PromQL` as a tree: matchers are injected into every selector of a parsed query, and the result is printed, parsed again and compared.
//!
//! Text never becomes syntax here: a label value is a leaf of the tree, and only the printer quotes it. Leaves out evaluation.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector, token};

/// Longest query that is parsed, bytes. The trees below are walked recursively, so their depth must be bounded.
const MOST_BYTES: usize = 4_096;

/// Most operators and brackets of a query: each may add a level to the tree.
const MOST_NESTING: usize = 256;

/// Label matchers that are injected into each selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected(Vec<Matcher>);

/// Why a query or a matcher cannot be used. The text names the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromqlError {
    /// Longer or deeper than what is parsed.
    #[error("the query is too long or too deeply nested: write at most {MOST_BYTES} bytes and {MOST_NESTING} operators and brackets")]
    TooLarge,
    /// Not `PromQL`.
    #[error("the query is not PromQL: {0}")]
    Syntax(String),
    /// Cannot be printed so that it means the same.
    #[error("the query uses PromQL that cannot be rewritten safely: write metric and label names in their plain form")]
    NotRewritable,
    /// The matcher is more or less than a list of label matchers.
    #[error("`matcher` is not a list of label matchers: write something like cluster=\"production\",region=~\"eu-.*\"")]
    NotAMatcher,
}

impl Injected {
    /// Reads the administrators' matcher list (`cluster="x",env=~"p.*"`).
    ///
    /// # Errors
    /// [`PromqlError`] when the text is anything but matchers on labels.
    pub fn parse(text: &str) -> Result<Self, PromqlError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        check_size(text)?;
        // What closes the braces early leaves a tree that is no single plain selector.
        let Expr::VectorSelector(VectorSelector { name: Some(name), matchers, offset: None, at: None }) =
            parse(&format!("x{{{text}}}")).map_err(|_| PromqlError::NotAMatcher)?
        else {
            return Err(PromqlError::NotAMatcher);
        };
        let plain = name == "x" && matchers.or_matchers.is_empty() && matchers.matchers.iter().all(|m| m.name != "__name__");
        if !plain || matchers.matchers.is_empty() {
            return Err(PromqlError::NotAMatcher);
        }
        Ok(Self(matchers.matchers))
    }

    /// These and one more: `label` equals `value`, whatever the value holds.
    #[must_use]
    pub fn and_equal(&self, label: &str, value: &str) -> Self {
        let mut all = self.0.clone();
        all.push(Matcher::new(MatchOp::Equal, label, value));
        Self(all)
    }

    /// These and one more: `label` is one of `values`, each taken literally.
    ///
    /// # Errors
    /// [`PromqlError::TooLarge`] when the alternatives make no regular expression of reasonable size.
    pub fn and_one_of<'a>(&self, label: &str, values: impl IntoIterator<Item = &'a str>) -> Result<Self, PromqlError> {
        let alternatives: Vec<String> = values.into_iter().map(escape_re2).collect();
        let pattern = alternatives.join("|");
        let matcher = Matcher::new_matcher(token::T_EQL_REGEX, label.to_owned(), pattern).map_err(|_| PromqlError::TooLarge)?;
        let mut all = self.0.clone();
        all.push(matcher);
        Ok(Self(all))
    }

    /// These and one more: `label` is `owner` and what Kubernetes appends to it for a pod's name.
    ///
    /// # Errors
    /// [`PromqlError::TooLarge`] when `owner` makes no regular expression of reasonable size.
    pub fn and_pod_of(&self, label: &str, owner: &str) -> Result<Self, PromqlError> {
        let pattern = format!("{}-.*", escape_re2(owner));
        let mut all = self.0.clone();
        all.push(Matcher::new_matcher(token::T_EQL_REGEX, label.to_owned(), pattern).map_err(|_| PromqlError::TooLarge)?);
        Ok(Self(all))
    }

    /// A query of somebody else's with these matchers in every selector, printed.
    ///
    /// # Errors
    /// [`PromqlError`] when the query is too large, is no `PromQL`, or its printed form would not be the same query with the matchers added.
    pub fn inject_foreign(&self, query: &str) -> Result<String, PromqlError> {
        check_size(query)?;
        self.inject(query)
    }

    /// A query of our own with these matchers in every selector, printed.
    ///
    /// # Errors
    /// [`PromqlError`] when the query is no `PromQL`, or its printed form would not be the same query with the matchers added.
    pub fn inject(&self, query: &str) -> Result<String, PromqlError> {
        let mut tree = parse(query)?;
        add(&mut tree, &self.0);
        let printed = tree.to_string();
        let reparsed = parser::parse(&printed).map_err(|_| PromqlError::NotRewritable)?;
        if reparsed.to_string() == printed && selectors(&reparsed).iter().all(|s| self.holds_in(s)) {
            Ok(printed)
        } else {
            Err(PromqlError::NotRewritable)
        }
    }

    /// Whether a query has selectors and each carries these matchers.
    #[cfg(test)]
    pub(super) fn is_everywhere_in(&self, query: &str) -> bool {
        parser::parse(query).is_ok_and(|tree| {
            let found = selectors(&tree);
            !found.is_empty() && found.iter().all(|selector| self.holds_in(selector))
        })
    }

    fn holds_in(&self, selector: &VectorSelector) -> bool {
        let groups = &selector.matchers.or_matchers;
        let has_all = |group: &[Matcher]| self.0.iter().all(|m| group.iter().any(|g| g.name == m.name && g.value == m.value));
        if groups.is_empty() { has_all(&selector.matchers.matchers) } else { groups.iter().all(|g| has_all(g)) }
    }
}

/// Quotes what RE2 (Prometheus' regular expressions) gives a meaning to. RE2 knows fewer escapes than Rust's engine, so only its own
/// punctuation is escaped.
#[must_use]
pub fn escape_re2(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn check_size(query: &str) -> Result<(), PromqlError> {
    // Counts what stands in strings too: that errs on the safe side. `or` and its like are words between spaces.
    let nesting = query.bytes().filter(|b| b"([{+-*/%^<>=!".contains(b)).count() + query.split_whitespace().count() / 4;
    if query.len() > MOST_BYTES || nesting > MOST_NESTING { Err(PromqlError::TooLarge) } else { Ok(()) }
}

fn parse(query: &str) -> Result<Expr, PromqlError> {
    parser::parse(query).map_err(|e| PromqlError::Syntax(e.lines().next().unwrap_or_default().chars().take(200).collect()))
}

/// Walks by hand: the crate's own visitor passes over matrix selectors and the parameter of an aggregation (`quantile(scalar(x), y)`),
/// and either would be a way around the matcher.
fn add(tree: &mut Expr, matchers: &[Matcher]) {
    match tree {
        Expr::VectorSelector(selector) => add_to(selector, matchers),
        Expr::MatrixSelector(matrix) => add_to(&mut matrix.vs, matchers),
        Expr::Aggregate(aggregate) => {
            add(&mut aggregate.expr, matchers);
            if let Some(parameter) = &mut aggregate.param {
                add(parameter, matchers);
            }
        }
        Expr::Unary(unary) => add(&mut unary.expr, matchers),
        Expr::Binary(binary) => {
            add(&mut binary.lhs, matchers);
            add(&mut binary.rhs, matchers);
        }
        Expr::Paren(paren) => add(&mut paren.expr, matchers),
        Expr::Subquery(subquery) => add(&mut subquery.expr, matchers),
        Expr::Call(call) => call.args.args.iter_mut().for_each(|argument| add(argument, matchers)),
        // The parser makes no extensions; only programs that build trees themselves do.
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn add_to(selector: &mut VectorSelector, matchers: &[Matcher]) {
    let groups = &mut selector.matchers.or_matchers;
    if groups.is_empty() {
        selector.matchers.matchers.extend_from_slice(matchers);
    } else {
        for group in groups {
            group.extend_from_slice(matchers);
        }
    }
}

fn selectors(tree: &Expr) -> Vec<&VectorSelector> {
    match tree {
        Expr::VectorSelector(selector) => vec![selector],
        Expr::MatrixSelector(matrix) => vec![&matrix.vs],
        Expr::Aggregate(aggregate) => {
            let mut found = selectors(&aggregate.expr);
            found.extend(aggregate.param.iter().flat_map(|p| selectors(p)));
            found
        }
        Expr::Unary(unary) => selectors(&unary.expr),
        Expr::Binary(binary) => [selectors(&binary.lhs), selectors(&binary.rhs)].concat(),
        Expr::Paren(paren) => selectors(&paren.expr),
        Expr::Subquery(subquery) => selectors(&subquery.expr),
        Expr::Call(call) => call.args.args.iter().flat_map(|argument| selectors(argument)).collect(),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inject(matcher: &str, query: &str) -> Result<String, PromqlError> {
        Injected::parse(matcher).unwrap().inject_foreign(query)
    }

    #[test]
    fn every_selector_gets_the_matcher_even_in_ranges_parameters_and_subqueries() {
        let got = inject(
            r#"cluster="x""#,
            "quantile(scalar(limit), rate(a[5m] offset 1h)) / on (pod) group_left () max_over_time(b{c=\"d\"}[1h:5m]) or -c",
        )
        .unwrap();
        let tree = parser::parse(&got).unwrap();
        assert_eq!(selectors(&tree).len(), 4);
        assert_eq!(got.matches(r#"cluster="x""#).count(), 4, "{got}");
        assert!(got.contains(r#"b{c="d",cluster="x"}"#) && got.contains("offset 1h"), "{got}");
    }

    #[test]
    fn alternatives_inside_one_selector_all_get_the_matcher() {
        let got = inject(r#"cluster="x""#, r#"up{a="1" or b="2"}"#).unwrap();
        assert_eq!(got.matches("cluster").count(), 2, "{got}");
    }

    #[test]
    fn fault_m04_a_matcher_that_closes_its_braces_is_refused() {
        for bad in
            ["a=\"b\"} or vector(1) or x{c=\"d\"", "a=\"b\"}[5m", "}", "a=", "a=\"b\" or c=\"d\"", "__name__=\"y\"", "a=\"b\"} offset 5m #"]
        {
            assert_eq!(Injected::parse(bad), Err(PromqlError::NotAMatcher), "{bad}");
        }
    }

    #[test]
    fn a_query_that_is_no_promql_says_so() {
        assert!(matches!(inject("", "sum(rate(x[5m])"), Err(PromqlError::Syntax(_))));
        assert!(matches!(inject("", ""), Err(PromqlError::Syntax(_))));
    }

    #[test]
    fn a_query_deep_enough_to_hurt_is_refused_and_the_deepest_allowed_fits_a_small_stack() {
        let nested = |n: usize| format!("{}x{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(inject("", &nested(MOST_NESTING + 1)), Err(PromqlError::TooLarge));
        assert_eq!(inject("", &"x or ".repeat(900)), Err(PromqlError::TooLarge));
        let deep = [nested(MOST_NESTING), format!("{}1", "-".repeat(MOST_NESTING)), "x+".repeat(MOST_NESTING) + "x"];
        std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(move || deep.iter().for_each(|query| assert!(inject("", query).is_ok(), "{query}")))
            .unwrap()
            .join()
            .unwrap();
    }

    proptest! {
        #[test]
        fn fault_m04_no_label_value_becomes_syntax(value in r#"[a-z"'`\\{}()\n\t\r|.*+?^$\[\]é#,= ]{0,40}"#) {
            let printed = Injected::default().and_equal("l", &value).inject("sum(rate(x[1m])) / y").unwrap();
            let tree = parser::parse(&printed).unwrap();
            let found = selectors(&tree);
            prop_assert_eq!(found.len(), 2);
            for selector in found {
                prop_assert_eq!(&selector.matchers.matchers, &vec![Matcher::new(MatchOp::Equal, "l", &value)]);
            }
        }

        #[test]
        fn fault_m04_a_value_in_a_regular_expression_matches_itself_alone(value in r#"[a-z"\\{}()\n|.*+?^$\[\]é-]{1,20}"#, other in "[a-z.|]{1,20}") {
            let printed = Injected::default().and_one_of("l", [value.as_str()]).unwrap().inject("x").unwrap();
            let tree = parser::parse(&printed).unwrap();
            let matcher = &selectors(&tree)[0].matchers.matchers[0];
            prop_assert!(matcher.is_match(&value), "{printed}");
            prop_assert_eq!(matcher.is_match(&other), other == value);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = inject("a=\"b\"", &text);
            let _ = Injected::parse(&text);
        }
    }
}
