//! What kube-scheduler would do: which nodes a pod may be put on, and which it would prefer.
