//! What a HorizontalPodAutoscaler would do (autoscaling/v2): the shadow beside every decision.
