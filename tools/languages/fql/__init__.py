"""FQL, the filter language of Falcon's entity APIs."""
