using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace MathTutor.Recipe.Pretraining;

/// <summary>How far a training is.</summary>
/// <param name="Steps">Steps taken.</param>
/// <param name="Tokens">Tokens read, padding included.</param>
/// <param name="Pools">Pools of documents used up.</param>
/// <param name="Seconds">Time spent.</param>
internal sealed record Progress(long Steps, long Tokens, long Pools, double Seconds);

/// <summary>Weights and optimizer state in one file, replaced as a whole, so that a stopped training goes on.</summary>
internal sealed class PretrainingState(string path, IReadOnlyList<Tensor> tensors)
{
    public void Save(Progress progress)
    {
        string fresh = path + ".new";
        using (var writer = new BinaryWriter(File.Create(fresh)))
        {
            writer.Write(progress.Steps);
            writer.Write(progress.Tokens);
            writer.Write(progress.Pools);
            writer.Write(progress.Seconds);
            foreach (Tensor part in tensors)
            {
                using Tensor flat = part.detach().cpu().contiguous();
                writer.Write(MemoryMarshal.AsBytes<float>(flat.data<float>().ToArray()));
            }
        }

        File.Move(fresh, path, overwrite: true);
    }

    /// <summary>Fills the tensors from the file; null where there is none.</summary>
    public Progress? Load()
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using var off = no_grad();
        using var reader = new BinaryReader(File.OpenRead(path));
        var progress = new Progress(reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64(), reader.ReadDouble());
        foreach (Tensor part in tensors)
        {
            var values = new float[part.numel()];
            reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
            using Tensor read = tensor(values, part.shape);
            part.copy_(read);
        }

        return progress;
    }
}
