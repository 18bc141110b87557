"""Two devices write while they have no link, then merge: documents, and a text that both edited."""

from edgeweave.agentdb import AgentDb, List

SCHEMAS = {"animal": {"weight": "lww", "visits": "pn_counter", "health": {"status": ["well", "watched", "ill"]}}}
barn, vet = (AgentDb(None, replica=replica, schemas=SCHEMAS) for replica in (1, 2))

with barn.begin(now=1_000) as tx:
    tx.add("animal", "bella", "visits", 3)
    tx.set("animal", "bella", "weight", 612.5)
with vet.begin(now=1_500) as tx:
    tx.add("animal", "bella", "visits", 1)
    tx.status("animal", "bella", "health", "watched")

# There is a link: each sends its copy, in any order, as often as it likes.
for source, target in [(barn, vet), (vet, barn), (barn, vet)]:
    document = source.document("bella")
    assert document is not None
    with target.begin(now=2_000) as tx:
        tx.merge("bella", document)
states = [db.get("bella") for db in (barn, vet)]
assert states[0] is not None and states[1] is not None and states[0]["state"] == states[1]["state"]
print(states[0]["state"])

notes, copy = List(1), List(2)
notes.insert(0, "trim hooves")
copy.merge(notes.delta_since(copy.version()))
notes.insert(0, "Monday: ")
copy.delete(0, 4)
copy.insert(0, "check")
for source_list, target_list in [(notes, copy), (copy, notes)]:
    target_list.merge(source_list.delta_since(target_list.version()))
assert str(notes) == str(copy)
print(notes)
