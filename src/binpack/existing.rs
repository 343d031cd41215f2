//! Pods onto the nodes there are, in order of priority, the node that kube-scheduler would like best first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::PackRequest;
use crate::domain::workload::ResourceList;
use crate::scheduling::{count_that_fits, least_allocated, matches_terms, tolerates_all};

/// Places what fits, takes it from `left`, and gives how many of each class were placed.
pub(super) fn place(request: &PackRequest<'_>, left: &mut [u32]) -> Vec<u32> {
    let mut rooms: Vec<(usize, ResourceList)> =
        request.nodes.iter().enumerate().filter(|(_, n)| n.usable()).map(|(i, n)| (i, n.room())).collect();
    let mut placed = vec![0u32; request.pods.len()];
    for ((class, left), placed) in request.pods.iter().zip(left).zip(&mut placed) {
        if *left == 0 {
            continue;
        }
        let mut fitting: Vec<(u64, Reverse<usize>, u32)> = Vec::new();
        for (slot, (index, room)) in rooms.iter().enumerate() {
            let count = count_that_fits(&class.shape.requests, room);
            let node = &request.nodes[*index];
            if count > 0
                && matches_terms(&class.shape.node_terms, &node.labels).is_ok()
                && tolerates_all(&class.shape.tolerations, &node.taints).is_ok()
            {
                let score = least_allocated(&class.shape.requests, &node.allocatable, room);
                fitting.push((score, Reverse(slot), count));
            }
        }
        // A heap, since a few of thousands of nodes are taken as a rule.
        let mut fitting = BinaryHeap::from(fitting);
        while let Some((_, Reverse(slot), count)) = fitting.pop() {
            let taken = count.min(*left);
            let mut used = ResourceList::default();
            used.add(&super::offers::one_pod(&class.shape.requests), taken);
            rooms[slot].1 = rooms[slot].1.minus(&used);
            *left -= taken;
            *placed += taken;
            if *left == 0 {
                break;
            }
        }
    }
    placed
}
