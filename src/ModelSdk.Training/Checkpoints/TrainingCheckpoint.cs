using System.Globalization;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>The state of a run in one safetensors file, replaced atomically: weights, moments and the numbers of each step that is done.</summary>
internal sealed class TrainingCheckpoint
{
    private readonly string _path;
    private readonly string _run;

    /// <summary>A checkpoint of one run.</summary>
    /// <param name="folder">Folder; created when missing.</param>
    /// <param name="name">Name of the recipe; part of the file's name.</param>
    /// <param name="run">Fingerprint of all that decides the run: a checkpoint of another run is refused.</param>
    public TrainingCheckpoint(string folder, string name, string run)
    {
        Directory.CreateDirectory(folder);
        (_path, _run) = (Path.Combine(folder, name + ".checkpoint.safetensors"), run);
    }

    /// <summary>Writes the state after <paramref name="steps"/>.Count steps.</summary>
    /// <param name="state">Weights and moments.</param>
    /// <param name="steps">Numbers of each step, equally many.</param>
    public void Write(IReadOnlyList<Tensor> state, IReadOnlyList<double[]> steps)
    {
        var tensors = state.Select((t, i) => new TensorData(Name(i), TensorDType.F32, [.. t.shape], Transformer.Values(t)))
            .Append(new TensorData("steps", TensorDType.F32, [steps.Count, steps[0].Length, 3], steps.SelectMany(s => s).SelectMany(Split).ToArray()))
            .Append(new TensorData("run", TensorDType.F32, [_run.Length], _run.Select(c => (float)c).ToArray()));
        SafetensorsWriter.Write(_path, tensors);
    }

    /// <summary>Copies a checkpoint's state into the tensors.</summary>
    /// <param name="state">Same tensors in the same order as in <see cref="Write"/>.</param>
    /// <returns>Numbers of the steps that are done; empty where there is no checkpoint.</returns>
    /// <exception cref="TrainingException">MDL3022: the file is damaged or of another run.</exception>
    public IReadOnlyList<double[]> Read(IReadOnlyList<Tensor> state)
    {
        if (!File.Exists(_path))
        {
            return [];
        }

        try
        {
            using var file = SafetensorsFile.Open(_path);
            if (!file.Tensors.ContainsKey("run") || !file.ReadFloats("run").SequenceEqual(_run.Select(c => (float)c)))
            {
                throw Invalid("it belongs to a run with other settings or data");
            }

            using var gradients = no_grad();
            for (var i = 0; i < state.Count; i++)
            {
                if (!file.Tensors.TryGetValue(Name(i), out var info) || !info.Shape.SequenceEqual(state[i].shape))
                {
                    throw Invalid($"tensor {Name(i)} is missing or has another shape");
                }

                using var scope = NewDisposeScope();
                state[i].copy_(tensor(file.ReadFloats(Name(i)), state[i].shape));
            }

            var width = (int)file.Tensors["steps"].Shape[1];
            return [.. file.ReadFloats("steps").Chunk(3).Select(parts => parts.Sum(p => (double)p)).Chunk(width)];
        }
        catch (Exception e) when (e is ModelFormatException or IOException or KeyNotFoundException)
        {
            throw Invalid(e.Message, e);
        }
    }

    private static string Name(int index) => index.ToString("D5", CultureInfo.InvariantCulture);

    /// <summary>A double as three floats that add up to it exactly.</summary>
    private static float[] Split(double value)
    {
        if (!double.IsFinite(value))
        {
            return [(float)value, 0, 0];
        }

        var high = (float)value;
        var middle = (float)(value - high);
        return [high, middle, (float)(value - high - middle)];
    }

    private TrainingException Invalid(string why, Exception? inner = null) => new(
        DiagnosticCodes.CheckpointInvalid,
        $"The training checkpoint '{_path}' cannot be used: {why}. Delete it to train from the start.",
        _path, innerException: inner);
}
