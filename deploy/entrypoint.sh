#!/usr/bin/env bash
# What a container of the image runs: JOB key=value …; or, as Spark on Kubernetes starts its pods, driver … and executor.
set -euo pipefail

class_path="${SPARK_CONF_DIR:-$SPARK_HOME/conf}:${SPARK_CLASSPATH:-}:$SPARK_HOME/jars/*"
for more in "${SPARK_EXTRA_CLASSPATH:-}" "${SPARK_DIST_CLASSPATH:-}" "${HADOOP_CONF_DIR:-}"; do
    if [[ -n $more ]]; then class_path+=":$more"; fi
done

case ${1:-} in
    driver)
        shift
        address=${SPARK_DRIVER_BIND_ADDRESS:?is set by Spark in the pod of a driver}
        exec "$SPARK_HOME/bin/spark-submit" --conf "spark.driver.bindAddress=$address" \
            --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$address" --deploy-mode client "$@"
        ;;
    executor)
        mapfile -t options < <(env | grep '^SPARK_JAVA_OPT_' | sort -t_ -k4 -n | cut -d= -f2-)
        exec java "${options[@]}" "-Xms${SPARK_EXECUTOR_MEMORY:?is set by Spark in the pod of an executor}" \
            "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$class_path" org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
            --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
            --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
            --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
        ;;
    *) exec python -m seqrec "$@" ;;
esac
