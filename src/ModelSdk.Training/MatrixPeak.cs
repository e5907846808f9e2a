using System.Diagnostics;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>The fastest that this machine multiplies matrices with Torch.</summary>
public static class MatrixPeak
{
    /// <summary>Floating point operations a second of the best of many square products, of 1024 and of 2048.</summary>
    /// <param name="type">float32 or bfloat16.</param>
    /// <param name="duration">How long to try each size; at least three products are made.</param>
    /// <exception cref="TrainingException">MDL3001: torch is not available.</exception>
    public static double Measure(ScalarType type, TimeSpan duration)
    {
        TorchLibrary.EnsureLoaded();
        return Math.Max(Best(1024), Best(2048));

        double Best(long size)
        {
            using var gradients = no_grad();
            using var scope = NewDisposeScope();
            Tensor a = randn([size, size]).to_type(type), b = randn([size, size]).to_type(type);
            var best = double.PositiveInfinity;
            var all = Stopwatch.StartNew();
            for (var i = 0; i < 4 || all.Elapsed < duration; i++)
            {
                var started = Stopwatch.GetTimestamp();
                using (a.mm(b))
                {
                    best = i == 0 ? best : Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds); // the first one loads code and memory
                }
            }

            return 2.0 * size * size * size / best;
        }
    }
}
