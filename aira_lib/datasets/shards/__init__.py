"""Token shards: text that was tokenised once, in flat files that a training reads by place."""
