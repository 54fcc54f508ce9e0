//! Runs futures concurrently within one task, up to a limit. Within one task they can borrow, and their AWS calls count
//! in the task's request statistics. A future is polled only after it was woken.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Runs at most `limit` of the `jobs` at a time, and returns their outputs in the order of the jobs. A job is taken
/// from the iterator only when it can start, so that waiting jobs take no memory.
pub(crate) async fn side_by_side<F: Future>(limit: usize, jobs: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut jobs = jobs.into_iter().enumerate().fuse();
    let task = Arc::new(Mutex::new(Waker::noop().clone()));
    let (mut running, mut outputs): (Vec<Running<F>>, Vec<Option<F::Output>>) = (Vec::with_capacity(limit), Vec::new());
    poll_fn(|context| {
        task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(context.waker());
        loop {
            while running.len() < limit
                && let Some((position, job)) = jobs.next()
            {
                outputs.push(None);
                running.push(Running::new(position, job, &task));
            }
            if running.is_empty() {
                return Poll::Ready(());
            }
            let before = running.len();
            running.retain_mut(|job| match job.poll() {
                Poll::Ready(output) => {
                    outputs[job.position] = Some(output);
                    false
                }
                Poll::Pending => true,
            });
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// A started job.
struct Running<F> {
    position: usize,
    job: Pin<Box<F>>,
    flag: Arc<Flag>,
    waker: Waker,
}

/// The waker of one job: marks the job as woken, and wakes the task.
struct Flag {
    is_woken: AtomicBool,
    task: Arc<Mutex<Waker>>,
}

impl<F: Future> Running<F> {
    fn new(position: usize, job: F, task: &Arc<Mutex<Waker>>) -> Self {
        let flag = Arc::new(Flag { is_woken: AtomicBool::new(true), task: Arc::clone(task) });
        let waker = Waker::from(Arc::clone(&flag));
        Self { position, job: Box::pin(job), flag, waker }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        if !self.flag.is_woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        self.job.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Duration};

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test]
    async fn jobs_run_concurrently_within_the_limit_and_their_outputs_keep_the_order() {
        let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let job = |number: u64| {
            let (at_once, most) = (&at_once, &most);
            async move {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Within each five, later jobs end earlier, and the last at once.
                sleep(Duration::from_millis(5 * (4 - number % 5))).await;
                at_once.fetch_sub(1, Ordering::SeqCst);
                number
            }
        };
        let started = Instant::now();
        let outputs = side_by_side(5, (0..50).map(job)).await;
        assert_eq!(outputs, (0..50).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 5);
        assert!(started.elapsed() < Duration::from_millis(450), "50 jobs of 10 ms, five at a time, take 100 ms");
        assert!(side_by_side(5, std::iter::empty::<std::future::Ready<()>>()).await.is_empty());
    }
}
