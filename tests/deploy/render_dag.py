"""Run by a Python with Airflow: the DAGs of a folder as Airflow reads them, their tasks rendered for an interval, as JSON.

AIRFLOW_PYTHON render_dag.py FOLDER 2026-11-01T02:00:00+00:00 2026-11-02T02:00:00+00:00
"""

import json
import sys


def main(folder: str, start: str, end: str) -> None:
    """Print what is found."""
    import pendulum
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=folder)
    context = {"data_interval_start": pendulum.parse(start), "data_interval_end": pendulum.parse(end)}
    found = {}
    for name, dag in bag.dags.items():
        tasks = {}
        for task in dag.tasks:
            task.render_template_fields(context, dag.get_template_env())
            tasks[task.task_id] = {
                "command": getattr(task, "bash_command", None),
                "after": sorted(task.upstream_task_ids),
                "retries": task.retries,
            }
        found[name] = {"tasks": tasks, "catchup": dag.catchup, "max_active_runs": dag.max_active_runs}
    print(json.dumps({"errors": bag.import_errors, "dags": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
