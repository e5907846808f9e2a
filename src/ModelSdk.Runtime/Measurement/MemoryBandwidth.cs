using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;

namespace ModelSdk.Runtime.Measurement;

/// <summary>Memory read bandwidth: the limit of single-stream decoding, which reads every weight once a token.</summary>
public static unsafe class MemoryBandwidth
{
    private const long DefaultBytes = 512L << 20;

    /// <summary>Reads a block of memory that is larger than the processor's cache, split among threads, and takes the best of several rounds.</summary>
    /// <param name="threads">Threads that read.</param>
    /// <param name="bytes">Size of the block. Default 512 MiB.</param>
    /// <param name="rounds">Rounds. Default 5.</param>
    /// <returns>10^9 bytes a second.</returns>
    public static double Measure(int threads, long bytes = DefaultBytes, int rounds = 5)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        long share = bytes / threads / 256 * 256;
        byte* block = (byte*)NativeMemory.AlignedAlloc((nuint)(share * threads), 64);
        try
        {
            new Span<byte>(block, 1).Clear();
            for (long at = 0; at < share * threads; at += 1 << 30)
                NativeMemory.Fill(block + at, (nuint)Math.Min(1 << 30, share * threads - at), 1);
            double best = 0;
            for (int round = 0; round < rounds; round++)
            {
                ulong[] sums = new ulong[threads];
                long start = Stopwatch.GetTimestamp();
                Thread[] workers = new Thread[threads - 1];
                for (int i = 1; i < threads; i++)
                {
                    int index = i;
                    workers[i - 1] = new Thread(() => sums[index] = Sum(block + share * index, share));
                    workers[i - 1].Start();
                }

                sums[0] = Sum(block, share);
                foreach (Thread worker in workers)
                    worker.Join();
                double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                // The sum is used, so that no compiler may skip the reading.
                if (sums.Any(sum => sum != (ulong)share / 8 * 0x0101010101010101UL))
                    throw new InvalidOperationException("The memory did not hold what was written to it.");
                best = Math.Max(best, share * threads / seconds / 1e9);
            }

            return best;
        }
        finally
        {
            NativeMemory.AlignedFree(block);
        }
    }

    private static ulong Sum(byte* block, long bytes)
    {
        // Four accumulators hide the latency of the additions.
        Vector<ulong> a = default, b = default, c = default, d = default;
        int width = Vector<byte>.Count;
        long at = 0;
        for (; at + 4 * width <= bytes; at += 4 * width)
        {
            a += Vector.Load((ulong*)(block + at));
            b += Vector.Load((ulong*)(block + at + width));
            c += Vector.Load((ulong*)(block + at + 2 * width));
            d += Vector.Load((ulong*)(block + at + 3 * width));
        }

        ulong sum = Vector.Sum(a + b + c + d);
        for (; at + 8 <= bytes; at += 8)
            sum += *(ulong*)(block + at);
        return sum;
    }
}
