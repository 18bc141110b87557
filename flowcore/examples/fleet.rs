//! Orders in a warehouse: robots are assigned, pick beside each other and meet at packing; a gripper
//! that jams gives the reserved stock back. The workflow is `workflows/fleet.yaml`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use flowcore::{ActionError, Engine, MemoryJournal, RunStatus, Runner, Timestamp, Workflow};
use serde_json::{Value, json};

/// What the warehouse knows: stock by item, robots that are free.
#[derive(Debug)]
struct Warehouse {
    stock: BTreeMap<String, i64>,
    robots: Vec<String>,
    reserved: BTreeMap<String, Vec<String>>,
}

type Shared = Arc<Mutex<Warehouse>>;

fn locked<T>(shared: &Shared, body: impl FnOnce(&mut Warehouse) -> T) -> T {
    body(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn engine(warehouse: &Shared) -> Engine<MemoryJournal> {
    let shared = || Arc::clone(warehouse);
    let (reserve, release, assign, free) = (shared(), shared(), shared(), shared());
    Engine::new(MemoryJournal::new())
        .action("reserve_stock", move |call| {
            let items = texts(&call.params()["items"]);
            locked(&reserve, |warehouse| {
                for item in &items {
                    let left = warehouse.stock.entry(item.clone()).or_default();
                    if *left == 0 {
                        return Err(ActionError::new("OutOfStock", item.as_str()));
                    }
                    *left -= 1;
                }
                // The key is the same after a crash, so a second call reserves nothing twice.
                warehouse
                    .reserved
                    .insert(call.idempotency_key(), items.clone());
                Ok(json!({"id": call.idempotency_key()}))
            })
        })
        .action("release_stock", move |call| {
            let id = call.params()["reservation"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            locked(&release, |warehouse| {
                for item in warehouse.reserved.remove(&id).unwrap_or_default() {
                    *warehouse.stock.entry(item).or_default() += 1;
                }
            });
            Ok(json!({"released": id}))
        })
        .action("assign_robots", move |call| {
            let count = call.params()["count"].as_u64().unwrap_or(1);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            locked(&assign, |warehouse| {
                if warehouse.robots.len() < count {
                    return Err(ActionError::new(
                        "NoRobots",
                        format!("{} free", warehouse.robots.len()),
                    ));
                }
                let taken: Vec<String> = warehouse.robots.drain(..count).collect();
                Ok(json!({"robots": taken}))
            })
        })
        .action("pick_item", |call| match call.params()["item"].as_str() {
            Some("glue") => Err(ActionError::new("Jammed", "the gripper sticks")),
            item => Ok(json!({"item": item, "robot": call.params()["robot"]})),
        })
        .action("pack_order", |call| {
            Ok(json!({"parcel": call.params()["picked"]}))
        })
        .action("free_robots", move |call| {
            let robots = texts(&call.params()["robots"]);
            locked(&free, |warehouse| warehouse.robots.extend(robots));
            Ok(json!({}))
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let warehouse = Arc::new(Mutex::new(Warehouse {
        stock: [("bolt", 5), ("nut", 5), ("glue", 1)]
            .map(|(item, n)| (item.to_owned(), n))
            .into(),
        robots: ["r1", "r2", "r3"].map(str::to_owned).into(),
        reserved: BTreeMap::new(),
    }));
    let mut engine = engine(&warehouse);
    engine.deploy(Workflow::from_yaml(include_str!("workflows/fleet.yaml"))?)?;
    let mut runner = Runner::with_clock(engine, || Timestamp::from_millis(0));
    let mut order = |priority: &str, items: Value| {
        let input = json!({"priority": priority, "items": items});
        let run = runner
            .engine()
            .trigger("order", input, Timestamp::from_millis(0))?;
        runner.run_until_idle()?;
        runner.engine().status(run)
    };

    let done = order("express", json!(["bolt", "nut", "bolt"]))?;
    println!("express order: {}", done.output);
    assert_eq!(done.status, RunStatus::Succeeded);
    assert_eq!(done.output["parcel"].as_array().map(Vec::len), Some(3));

    // The gripper's second try comes a second later, so this order is still under way.
    let pending = order("usual", json!(["nut", "glue"]))?;
    assert_eq!(pending.status, RunStatus::Running);
    let now = Timestamp::from_millis(1_000);
    let mut engine = runner.into_engine();
    let mut runner = {
        // Time goes on: the same engine under a later clock.
        engine.step(now)?.into_iter().for_each(|command| {
            if let flowcore::Command::Execute(call) = command
                && let flowcore::Work::Ready(result) = call.perform()
            {
                engine.complete(call.token(), result, now);
            }
        });
        Runner::with_clock(engine, move || now)
    };
    runner.run_until_idle()?;
    let failed = runner.engine().status(pending.id)?;
    println!(
        "order with glue: {}",
        failed
            .failure
            .as_ref()
            .map_or("", |failure| &failure.message)
    );
    assert_eq!(failed.status, RunStatus::Failed);
    locked(&warehouse, |warehouse| {
        println!("stock after all: {:?}", warehouse.stock);
        assert_eq!(warehouse.stock["glue"], 1, "what was reserved came back");
        assert_eq!(warehouse.stock["bolt"], 3);
    });
    Ok(())
}
