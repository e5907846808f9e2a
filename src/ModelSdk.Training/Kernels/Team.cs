using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace ModelSdk.Training.Kernels;

/// <summary>
/// Runs loops on Torch's own threads. Torch's OpenMP threads spin for a while after each operator; loops on other threads would fight
/// them for the cores. Where OpenMP's entry points are not found the loops run on the thread pool.
/// </summary>
internal static unsafe class Team
{
    private static readonly delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void> s_parallel;
    private static readonly delegate* unmanaged<int> s_threadNumber;
    private static readonly delegate* unmanaged<int> s_threadCount;

    static Team()
    {
        if (TorchLibrary.OpenMp is { } library
            && NativeLibrary.TryGetExport(library, "GOMP_parallel", out var parallel)
            && NativeLibrary.TryGetExport(library, "omp_get_thread_num", out var number)
            && NativeLibrary.TryGetExport(library, "omp_get_num_threads", out var count))
        {
            s_parallel = (delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void>)parallel;
            s_threadNumber = (delegate* unmanaged<int>)number;
            s_threadCount = (delegate* unmanaged<int>)count;
        }
    }

    /// <summary>Cuts 0 .. count - 1 into one range a thread. Which thread takes which range never changes a result.</summary>
    /// <param name="count">Rows.</param>
    /// <param name="grain">Fewest rows that are worth a thread.</param>
    /// <param name="body">Called with first row and the row after the last.</param>
    public static void For(int count, int grain, Action<int, int> body)
    {
        var threads = Math.Min(torch.get_num_threads(), (count + grain - 1) / grain);
        if (threads <= 1)
        {
            body(0, count);
        }
        else if (s_parallel is null)
        {
            Parallel.For(0, threads, t => body((int)((long)count * t / threads), (int)((long)count * (t + 1) / threads)));
        }
        else
        {
            var work = new Work(count, body);
            var handle = GCHandle.Alloc(work);
            try
            {
                s_parallel(&RunRange, (void*)GCHandle.ToIntPtr(handle), (uint)threads, 0);
            }
            finally
            {
                handle.Free();
            }

            work.Failure?.Throw();
        }
    }

    [UnmanagedCallersOnly]
    private static void RunRange(void* data)
    {
        var work = (Work)GCHandle.FromIntPtr((nint)data).Target!;
        try
        {
            int thread = s_threadNumber(), threads = s_threadCount();
            work.Body((int)((long)work.Count * thread / threads), (int)((long)work.Count * (thread + 1) / threads));
        }
        catch (Exception e)
        {
            work.Failure = ExceptionDispatchInfo.Capture(e); // An exception must not leave through native frames.
        }
    }

    private sealed class Work(int count, Action<int, int> body)
    {
        public int Count { get; } = count;

        public Action<int, int> Body { get; } = body;

        public ExceptionDispatchInfo? Failure { get; set; }
    }
}
