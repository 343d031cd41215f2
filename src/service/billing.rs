//! What runs is paid for by the second, from its start to its end.

use serde::{Deserialize, Serialize};

use crate::domain::units::MicroUsd;
use crate::domain::workload::ResourceList;

/// A running bill, exact: millionths of a dollar an hour, times seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    micro_usd_hour_seconds: i128,
}

impl Bill {
    /// Adds `seconds` of something that costs `price_per_hour`.
    pub fn add(&mut self, price_per_hour: MicroUsd, seconds: u64) {
        self.micro_usd_hour_seconds += i128::from(price_per_hour.0) * i128::from(seconds);
    }

    /// What has come together.
    #[must_use]
    pub fn total(&self) -> MicroUsd {
        MicroUsd(i64::try_from(self.micro_usd_hour_seconds / 3600).unwrap_or(i64::MAX))
    }
}

/// What a pod costs an hour: its requests' share of a machine of this size and price, by whichever resource it takes most of.
#[must_use]
pub fn pod_price(requests: &ResourceList, machine: &ResourceList, price_per_hour: MicroUsd) -> MicroUsd {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let share = share(requests.cpu.0, machine.cpu.0).max(share(requests.memory.0, machine.memory.0));
    MicroUsd((price_per_hour.0 as f64 * share).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::{Bytes, Millicores};

    #[test]
    fn an_hour_costs_the_price_of_an_hour_however_it_is_cut() {
        let price = MicroUsd(192_001);
        let mut bill = Bill::default();
        (0..3600).for_each(|_| bill.add(price, 1));
        assert_eq!(bill.total(), price);
    }

    #[test]
    fn a_pod_pays_for_what_it_takes_most_of() {
        let list = |cpu, memory| ResourceList { cpu: Millicores(cpu), memory: Bytes(memory), ..ResourceList::default() };
        let price = |requests| pod_price(&requests, &list(4000, 16_000), MicroUsd(200_000));
        assert_eq!(price(list(1000, 1000)), MicroUsd(50_000));
        assert_eq!(price(list(1000, 8000)), MicroUsd(100_000));
    }
}
