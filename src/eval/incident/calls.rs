//! Who calls whom: only workloads of the incident, each once, and never in a circle, since demand would never come to rest.

use std::collections::BTreeMap;

use super::document::WorkloadDocument;
use crate::crd::SpecError;
use crate::crd::error::quoted;

/// Checks `dependsOn` of all workloads.
///
/// # Errors
/// [`SpecError`] for a call of a stranger, a call listed twice, or a circle.
pub(super) fn check(workloads: &[WorkloadDocument]) -> Result<(), SpecError> {
    let place: BTreeMap<&str, usize> = workloads.iter().enumerate().map(|(index, w)| (w.name.as_str(), index)).collect();
    let mut calls: Vec<Vec<usize>> = Vec::with_capacity(workloads.len());
    for (index, workload) in workloads.iter().enumerate() {
        let at = |call: usize| format!("spec.workloads[{index}].dependsOn[{call}].name");
        super::check::each_once(workload.depends_on.iter().map(|call| call.name.as_str()), at)?;
        let called = workload.depends_on.iter().enumerate().map(|(call, document)| {
            place.get(document.name.as_str()).copied().ok_or_else(|| {
                SpecError::new(
                    &at(call),
                    format_args!(
                        "{} is no workload of this incident; add it to spec.workloads or correct the name",
                        quoted(&document.name)
                    ),
                )
            })
        });
        calls.push(called.collect::<Result<_, _>>()?);
    }
    match circle(&calls) {
        None => Ok(()),
        Some(way) => {
            let names: Vec<&str> = way.iter().map(|index| workloads[*index].name.as_str()).collect();
            let first = way.first().copied().unwrap_or_default();
            Err(SpecError::new(
                &format_args!("spec.workloads[{first}].dependsOn"),
                format_args!("the calls run in a circle ({}); remove one of them", quoted(&names.join(" -> "))),
            ))
        }
    }
}

/// A circle among the calls, its first member again at its end. Without recursion: a long chain is no reason to run out of stack.
fn circle(calls: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        OnTheWay,
        Done,
    }
    let mut seen = vec![Seen::Not; calls.len()];
    for begin in 0..calls.len() {
        if seen[begin] == Seen::Done {
            continue;
        }
        // The way from `begin`, each with how many of its calls have been followed.
        let mut way: Vec<(usize, usize)> = vec![(begin, 0)];
        seen[begin] = Seen::OnTheWay;
        while let Some((at, followed)) = way.last_mut() {
            let (at, next) = (*at, calls[*at].get(*followed).copied());
            *followed += 1;
            match next.map(|next| (next, seen[next])) {
                Some((_, Seen::Done)) => {}
                Some((next, Seen::Not)) => {
                    seen[next] = Seen::OnTheWay;
                    way.push((next, 0));
                }
                Some((next, Seen::OnTheWay)) => {
                    let since = way.iter().skip_while(|(on_way, _)| *on_way != next);
                    return Some(since.map(|(index, _)| *index).chain([next]).collect());
                }
                None => {
                    seen[at] = Seen::Done;
                    way.pop();
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_wherever_it_lies_and_a_diamond_is_none() {
        assert_eq!(circle(&[vec![1, 2], vec![3], vec![3], vec![]]), None);
        assert_eq!(circle(&[vec![1], vec![2], vec![3], vec![1]]), Some(vec![1, 2, 3, 1]));
        assert_eq!(circle(&[vec![], vec![1]]), Some(vec![1, 1]));
        let chain: Vec<Vec<usize>> = (0..100_000).map(|i| if i + 1 < 100_000 { vec![i + 1] } else { vec![] }).collect();
        assert_eq!(circle(&chain[..]), None);
    }
}
