//! How a service behaves: one FIFO queue, replicas of a given capacity, start-up, billing. The simulator and the replay of a workload's past
//! stand on it.
