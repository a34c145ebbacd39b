"""The LangGraph state machines, and the modules that their nodes call.

* The graphs, their state, what a run knows, and its way to the vendors: `investigate`, `respond`, `state`, `workspace`,
  `asking`.
* What a question asks, orders, points at and leaves out: `routing`, `orders`, `references`, `following`, `clauses`,
  `scoping`, `targets`; which hunts that obliges: `matching`, `obliged`.
* The searches that follow from hunts, findings and relations: `plan`, `neighbours`, `relating`, `spotting`.
* What a model sees and may add: `ways`, `calling`, `reading`, `think`, `consult`, `pivots`.
* One alert: `alerts`, `triage`, `verdict`, `ticket`.
* The answer: `draft`, `observing`, `telling`, `telling_related`, `conclude`, `proposing`, `suggesting`.
"""
